/** Compiled graphs that are kept for another use. */
import type { Session } from "./session.ts";

/** A limited number of sessions by what they were compiled for; the one unused for longest makes room. */
export class SessionCache {
  readonly #most: number;
  /** The one unused for longest first. */
  readonly #sessions = new Map<string, Session>();

  /** @param most sessions kept, at least 1 */
  constructor(most: number) {
    this.#most = most;
  }

  /** The session of that key, made by `create` if it is not there. */
  async get(key: string, create: () => Promise<Session>): Promise<Session> {
    let session = this.#sessions.get(key);
    if (session === undefined) {
      if (this.#sessions.size >= this.#most) {
        const [oldest] = this.#sessions.keys();
        await this.#sessions.get(oldest)!.release();
        this.#sessions.delete(oldest);
      }
      session = await create();
    }
    this.#sessions.delete(key);
    this.#sessions.set(key, session);
    return session;
  }

  async release(): Promise<void> {
    const all = [...this.#sessions.values()];
    this.#sessions.clear();
    for (const session of all) await session.release();
  }
}
