/** Threads that share loops over kernel memories. */
import { PsycheError } from "../../error.ts";
import type { KernelMemory, MemoryParts } from "./kernel_memory.ts";
import { KernelSpaces } from "./kernel_space.ts";
import { type LoopName, loops, type TaskOf } from "./loops.ts";

/** A loop that a thread is to help with. */
export interface SharedWork<Name extends LoopName = LoopName> {
  name: Name;
  task: TaskOf<Name>;
  /** The next piece that nobody has begun, and how many are done. */
  progress: Int32Array<SharedArrayBuffer>;
}

/** What the worker of a thread is told; the first message comes alone, see `kernel_worker.ts`. */
export type ThreadMessage = { memory: MemoryParts } | { work: SharedWork } | "end";

/** Handed to a worker when it begins. */
export interface ThreadStart {
  port: MessagePort;
  /** Raised by one with every message. */
  messages: Int32Array<SharedArrayBuffer>;
}

export const NEXT = 0;
export const DONE = 1;

/** The loops wait for memory more than for arithmetic: more threads than this gain nothing. */
const MOST_THREADS = 8;
/** A piece takes microseconds to milliseconds; a thread that needs longer has died. */
const LIMIT_MILLISECONDS = 60_000;

export class KernelThreads {
  readonly #spaces = new KernelSpaces();
  readonly #helpers: { worker: Worker; port: MessagePort }[];
  readonly #messages = new Int32Array(new SharedArrayBuffer(4));

  /** @param count of threads with the calling one, whose helpers get ready in the background */
  constructor(count: number) {
    this.#helpers = Array.from({ length: Math.min(count, MOST_THREADS) - 1 }, () => this.#start());
  }

  /** Makes a memory known to all threads; loops may then work on its arrays. */
  share(memory: KernelMemory): void {
    this.#spaces.add(memory);
    this.#tell({ memory: memory.parts });
  }

  /**
   * Carries out a loop and returns when all of it is done. Threads that are busy with something else
   * are not waited for.
   *
   * @throws PsycheError `KERNEL_THREAD_LOST` when a thread does not end its piece
   */
  run<Name extends LoopName>(name: Name, task: TaskOf<Name>, alone = false): void {
    const progress = new Int32Array(new SharedArrayBuffer(8));
    if (!alone) this.#tell({ work: { name, task, progress } });
    const count = workOn(this.#spaces, { name, task, progress });
    for (let done; (done = Atomics.load(progress, DONE)) < count;) {
      if (Atomics.wait(progress, DONE, done, LIMIT_MILLISECONDS) !== "timed-out") continue;
      throw new PsycheError(
        "KERNEL_THREAD_LOST",
        `A thread did not end its piece of ${name} within ${LIMIT_MILLISECONDS / 1000} s; ` +
          "start again from the last checkpoint, with --threads 1 if it happens again.",
      );
    }
  }

  close(): void {
    this.#tell("end");
    for (const { port } of this.#helpers) port.close();
  }

  #start(): { worker: Worker; port: MessagePort } {
    const { port1, port2 } = new MessageChannel();
    const worker = new Worker(new URL("./kernel_worker.ts", import.meta.url), { type: "module" });
    const start: ThreadStart = { port: port2, messages: this.#messages };
    worker.postMessage(start, [port2]);
    return { worker, port: port1 };
  }

  #tell(message: ThreadMessage): void {
    for (const { port } of this.#helpers) port.postMessage(message);
    Atomics.add(this.#messages, 0, 1);
    Atomics.notify(this.#messages, 0);
  }
}

let sole: KernelThreads | undefined;

/** The calling thread without any helper, for loops over ordinary arrays. */
export function soleThread(): KernelThreads {
  return sole ??= new KernelThreads(1);
}

/** Takes pieces until none is left. Returns how many there are. */
export function workOn<Name extends LoopName>(
  spaces: KernelSpaces,
  { name, task, progress }: SharedWork<Name>,
): number {
  const { count, run } = loops[name](task, spaces);
  for (let piece; (piece = Atomics.add(progress, NEXT, 1)) < count;) {
    run(piece);
    Atomics.add(progress, DONE, 1);
    Atomics.notify(progress, DONE);
  }
  return count;
}
