/** Memory for all that is as long as a model's parameters, where kernels and the runtime reach it. */
import { canAlias, KernelMemory, MOST_BYTES } from "./kernel_memory.ts";
import { KernelThreads } from "./kernel_threads.ts";

/** Left in each memory for what threads need there: stacks, tables, stages. */
const THREADS_BYTES = 2 ** 28;
/** Of each memory, unless arrays that lie together need more. */
const USUAL_BYTES = 2 ** 30;

export class ModelMemory {
  readonly threads: KernelThreads;
  #memory: KernelMemory | undefined;

  /** @param threads that work on the arrays */
  constructor(threads: KernelThreads = new KernelThreads(1)) {
    this.threads = threads;
  }

  /**
   * New arrays of one length, zeroed and together in one kernel memory. Those that are too large for it
   * lie apart, or are ordinary arrays, as all are without the permission of {@linkcode canAlias}: then
   * kernels have to copy and a single thread runs them.
   *
   * @throws PsycheError `KERNEL_MEMORY_REFUSED`
   */
  take(length: number, count = 1): Float32Array<ArrayBuffer>[] {
    const memory = canAlias() ? this.#withRoom(4 * length * count) : null;
    if (memory !== null) return Array.from({ length: count }, () => memory.takeAlias(length));
    if (count === 1) return [new Float32Array(length)];
    return Array.from({ length: count }, () => this.take(length)[0]);
  }

  #withRoom(bytes: number): KernelMemory | null {
    const needed = bytes + THREADS_BYTES;
    if (this.#memory?.hasRoom(needed)) return this.#memory;
    if (needed > MOST_BYTES) return null;
    const memory = new KernelMemory(Math.max(USUAL_BYTES, needed));
    this.threads.share(memory);
    return this.#memory = memory;
  }
}
