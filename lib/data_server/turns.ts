/** Lets a bounded number of pieces of work go on at the same time, first come first served. */
export class Turns {
  #free: number;
  readonly #waiting = new Set<() => void>();

  constructor(limit: number) {
    this.#free = limit;
  }

  /** Runs `work` when it is its turn. @throws the signal's reason when aborted before that */
  async take<T>(work: () => Promise<T>, signal: AbortSignal): Promise<T> {
    await this.#enter(signal);
    try {
      return await work();
    } finally {
      this.#free++;
      this.#next();
    }
  }

  async #enter(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    const turn = Promise.withResolvers<void>();
    const wake = () => turn.resolve();
    const abort = () => turn.reject(signal.reason);
    this.#waiting.add(wake);
    signal.addEventListener("abort", abort);
    try {
      this.#next();
      await turn.promise;
    } catch (error) {
      // Given a turn and aborted in the same moment: somebody else takes it.
      if (!this.#waiting.delete(wake)) this.#free++;
      this.#next();
      throw error;
    } finally {
      signal.removeEventListener("abort", abort);
    }
  }

  #next(): void {
    for (const wake of this.#waiting) {
      if (this.#free === 0) return;
      this.#free--;
      this.#waiting.delete(wake);
      wake();
    }
  }
}
