/** What one thread needs to run kernels on one memory: an instance of the module, a stack, a stage. */
import { KernelMemory, type Place, placeOf } from "./kernel_memory.ts";
import { instantiateKernels, type Kernels } from "./kernels.ts";

/** The kernels need a few hundred bytes. */
const STACK_BYTES = 65_536;
/** For stages and tables of a thread that has ordinary arrays only. */
const SOLE_BYTES = 2 ** 30;

/** An array that kernels read or write: in a kernel memory, or an ordinary one of this thread. */
export type Operand = Place | Float32Array;

/** An array as loops take it. */
export function operand(array: Float32Array): Operand {
  return placeOf(array) ?? array;
}

export class KernelSpace {
  readonly memory: KernelMemory;
  readonly kernels: Kernels;
  readonly #stage: Float32Array[] = [];
  readonly #made = new Map<string, unknown>();

  constructor(memory: KernelMemory) {
    this.memory = memory;
    this.kernels = instantiateKernels(memory.parts.memory);
    this.kernels.__stack_pointer.value = memory.allocate(STACK_BYTES) + STACK_BYTES;
  }

  /** Room for an array that passes by, this thread's own: at least `length` elements. */
  stage(slot: number, length: number): Float32Array {
    const stage: Float32Array | undefined = this.#stage[slot];
    if (stage !== undefined && stage.length >= length) return stage;
    // Room is never given back, so it at least doubles.
    const size = 2 ** Math.ceil(Math.log2(length));
    return this.#stage[slot] = this.memory.take(Float32Array, size);
  }

  /** What `make` made for this key the first time: tables and the like that stay. */
  once<T>(key: string, make: (space: KernelSpace) => T): T {
    if (!this.#made.has(key)) this.#made.set(key, make(this));
    return this.#made.get(key) as T;
  }
}

/** The spaces of one thread. */
export class KernelSpaces {
  readonly #spaces = new Map<number, KernelSpace>();

  add(memory: KernelMemory): void {
    this.#spaces.set(memory.parts.id, new KernelSpace(memory));
  }

  /** The one whose memory holds an operand; any of them for ordinary arrays. */
  of(operand: Operand): KernelSpace {
    if (!(operand instanceof Float32Array)) return this.#spaces.get(operand.id)!;
    if (this.#spaces.size === 0) this.add(new KernelMemory(SOLE_BYTES));
    return this.#spaces.values().next().value!;
  }

  /** The elements of an operand. */
  #elements(operand: Operand, from: number, length: number): Float32Array {
    if (operand instanceof Float32Array) return operand.subarray(from, from + length);
    const { memory } = this.of(operand);
    return memory.at(Float32Array, operand.address + 4 * from, length);
  }

  /**
   * Calls `kernel` with the addresses of `length` elements of every operand, in the memory of the first
   * that lies in one. What lies elsewhere passes through a stage, which is written back for operands
   * listed in `written`.
   */
  visit(
    operands: readonly Operand[],
    { from, length, written }: { from: number; length: number; written: readonly number[] },
    kernel: (space: KernelSpace, addresses: number[]) => void,
  ): void {
    const space = this.of(
      operands.find((operand) => !(operand instanceof Float32Array)) ?? operands[0],
    );
    const { id } = space.memory.parts;
    const staged: { slot: number; stage: Float32Array; elements: Float32Array }[] = [];
    const addresses = operands.map((operand, slot) => {
      if (!(operand instanceof Float32Array) && operand.id === id) {
        return operand.address + 4 * from;
      }
      const elements = this.#elements(operand, from, length);
      const stage = space.stage(slot, length);
      stage.set(elements);
      staged.push({ slot, stage, elements });
      return stage.byteOffset;
    });
    kernel(space, addresses);
    for (const { slot, stage, elements } of staged) {
      if (written.includes(slot)) elements.set(stage.subarray(0, length));
    }
  }
}
