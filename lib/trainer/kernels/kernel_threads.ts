/** Threads that share loops over kernel memories. */
import { PsycheError } from "../../error.ts";
import type { KernelMemory, MemoryParts } from "./kernel_memory.ts";
import { KernelSpaces, type Operand } from "./kernel_space.ts";
import { type ControlParts, LoopControl, MOST_NUMBERS, MOST_PIECES } from "./loop_control.ts";
import { type LoopName, loops, type TaskOf } from "./loops.ts";

/** What the worker of a thread is told, in this order of dependence; see `kernel_worker.ts`. */
export type ThreadMessage =
  | { memory: MemoryParts }
  | { loop: number; name: LoopName; task: unknown }
  | "end";

/** Handed to a worker when it begins. */
export interface ThreadStart {
  port: MessagePort;
  control: ControlParts;
}

/** The loops wait for memory more than for arithmetic: more threads than this gain nothing. */
const MOST_THREADS = 8;
/** A piece takes microseconds to milliseconds; a thread that needs longer has died. */
const LIMIT_MILLISECONDS = 60_000;

export class KernelThreads {
  readonly #spaces = new KernelSpaces();
  readonly #control = new LoopControl();
  /** To each helper. */
  readonly #ports: MessagePort[];
  #loops = 0;

  /** @param count of threads with the calling one, whose helpers get ready in the background */
  constructor(count: number) {
    this.#ports = Array.from({ length: Math.min(count, MOST_THREADS) - 1 }, () => this.#start());
  }

  /** Makes a memory known to all threads; loops may then work on its arrays. */
  share(memory: KernelMemory): void {
    this.#spaces.add(memory);
    this.#tell({ memory: memory.parts });
  }

  /**
   * Tells all threads of a loop. The function returned runs it with the numbers that it wants, and comes
   * back when all is done. Threads that are busy with something else are not waited for.
   *
   * @param operands all that it works on; other threads help when they can see every one of them
   * @throws PsycheError that function: `KERNEL_THREAD_LOST` when a piece fails or does not end
   */
  loop<Name extends LoopName>(
    name: Name,
    task: TaskOf<Name>,
    operands: readonly Operand[],
  ): (numbers?: readonly number[]) => void {
    const pieces = loops[name](task, this.#spaces);
    const loop = this.#loops++;
    const runAlone = (numbers: readonly number[] = []) => {
      const run = pieces.begin(numbers);
      for (let piece = 0; piece < pieces.count; piece++) run(piece);
    };
    const canShare = !operands.some((operand) => operand instanceof Float32Array);
    if (!canShare || this.#ports.length === 0 || pieces.count > MOST_PIECES) return runAlone;
    this.#tell({ loop, name, task });
    return (numbers = []) => {
      if (numbers.length > MOST_NUMBERS) return runAlone(numbers);
      this.#control.open(loop, numbers);
      let isWell = false;
      try {
        this.#control.work(() => pieces);
      } finally {
        isWell = this.#control.close(LIMIT_MILLISECONDS);
      }
      if (isWell) return;
      throw new PsycheError(
        "KERNEL_THREAD_LOST",
        `A thread failed in its part of ${name}; start again from the last checkpoint, ` +
          "with --threads 1 if it happens again.",
      );
    };
  }

  close(): void {
    this.#tell("end");
    for (const port of this.#ports) port.close();
  }

  #start(): MessagePort {
    const { port1, port2 } = new MessageChannel();
    const worker = new Worker(new URL("./kernel_worker.ts", import.meta.url), { type: "module" });
    const start: ThreadStart = { port: port2, control: this.#control.parts };
    worker.postMessage(start, [port2]);
    return port1;
  }

  #tell(message: ThreadMessage): void {
    for (const port of this.#ports) port.postMessage(message);
    this.#control.wake.raise();
  }
}

let sole: KernelThreads | undefined;

/** The calling thread without any helper, for loops over ordinary arrays. */
export function soleThread(): KernelThreads {
  return sole ??= new KernelThreads(1);
}
