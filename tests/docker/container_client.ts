/** A client in a container: what it reports, what becomes of it, what is done to it. */
import { setTimeout as delay } from "node:timers/promises";
import { dockerOutput } from "../../lib/container/docker.ts";
import type { TimedEvent } from "../../lib/events/event.ts";
import { readEventLines } from "../../lib/events/event_lines.ts";

const PAUSE_ATTEMPTS = 20;

export class ContainerClient {
  readonly name: string;
  /** False after it was ended on purpose. */
  shouldRun = true;
  /** Events of its former lives. */
  #before = 0;

  constructor(name: string) {
    this.name = name;
  }

  /** What it has reported since it was last started. */
  async events(): Promise<TimedEvent[]> {
    return (await this.allEvents()).slice(this.#before);
  }

  /** The same over all its lives. */
  async allEvents(): Promise<TimedEvent[]> {
    // With the end of the last line, without which it would count as half a line.
    const stream = new Blob([await dockerOutput(["logs", this.name]), "\n"]).stream();
    return await Array.fromAsync(readEventLines(stream));
  }

  /** The events of one kind of this life. */
  async eventsOf<T extends TimedEvent["type"]>(
    type: T,
  ): Promise<Extract<TimedEvent, { type: T }>[]> {
    const events = await this.events();
    return events.filter((event): event is Extract<TimedEvent, { type: T }> => event.type === type);
  }

  /** Its words to people: what it says beside its events. */
  async words(): Promise<string> {
    const { stderr } = await new Deno.Command("docker", { args: ["logs", this.name] }).output();
    return new TextDecoder().decode(stderr);
  }

  /** Its wallet, base58; undefined before its first event. */
  async wallet(): Promise<string | undefined> {
    return (await this.events())[0]?.client;
  }

  async inspect(format: string): Promise<string> {
    return await dockerOutput(["inspect", "--format", format, this.name]);
  }

  async isRunning(): Promise<boolean> {
    return await this.inspect("{{.State.Running}}") === "true";
  }

  /** It vanishes without a word. */
  async kill() {
    this.shouldRun = false;
    await dockerOutput(["kill", this.name]);
  }

  /** It is asked to leave. */
  async stop() {
    this.shouldRun = false;
    await dockerOutput(["stop", "--time", "30", this.name]);
  }

  async start() {
    this.#before = (await this.allEvents()).length;
    this.shouldRun = true;
    await dockerOutput(["start", this.name]);
  }

  async pause() {
    await pauseContainer(this.name);
  }

  async unpause() {
    await dockerOutput(["unpause", this.name]);
  }
}

/**
 * Freezes a container. An engine with the first generation of control groups cannot while a process is
 * just starting in there, such as a health check: then it is asked again.
 */
export async function pauseContainer(name: string) {
  for (let attempt = 1;; attempt++) {
    try {
      return await dockerOutput(["pause", name]);
    } catch (error) {
      const busy = /unable to freeze/.test(String(error));
      if (!busy || attempt === PAUSE_ATTEMPTS) throw error;
      await delay(200);
    }
  }
}
