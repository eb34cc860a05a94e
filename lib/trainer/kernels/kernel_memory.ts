/** A WebAssembly memory of fixed size with the kernels that work on it. */
import { PsycheError } from "../../error.ts";
import { instantiateKernels, type Kernels } from "./kernels.ts";

const PAGE = 65_536;
/** Of vectors, which every array begins with. */
const ALIGNMENT = 16;
/** Addresses have 32 bits. */
const MOST_BYTES = 2 ** 32;
/** Room for the module's own stack and constants, at the start. */
const MODULE_BYTES = 2 * PAGE;

type ArrayType<T> = new (buffer: ArrayBuffer, offset: number, length: number) => T;

export class KernelMemory {
  readonly kernels: Kernels;
  readonly buffer: ArrayBuffer;
  #next: number;

  /**
   * @param bytes for all arrays together, each rounded up to 16; memory that is not written to is
   * not taken from the machine
   * @throws PsycheError `KERNEL_MEMORY_TOO_LARGE` above 4 GiB, `KERNEL_MEMORY_REFUSED` when the system
   * has no room for it
   */
  constructor(bytes: number) {
    const pages = Math.ceil((MODULE_BYTES + bytes) / PAGE);
    if (!(pages * PAGE <= MOST_BYTES)) {
      throw new PsycheError(
        "KERNEL_MEMORY_TOO_LARGE",
        `${bytes} bytes do not fit the 4 GiB of one kernel memory; ` +
          "use a smaller compression_chunk or smaller parameters.",
      );
    }
    const memory = reserve(pages);
    this.kernels = instantiateKernels(memory);
    this.buffer = memory.buffer as ArrayBuffer;
    this.#next = MODULE_BYTES;
  }

  /** A new array, zeroed; its `byteOffset` is its address for the kernels. */
  take<T>(type: ArrayType<T> & { BYTES_PER_ELEMENT: number }, length: number): T {
    const array = new type(this.buffer, this.#next, length);
    this.#next += roundUp(length * type.BYTES_PER_ELEMENT);
    return array;
  }
}

function reserve(pages: number): WebAssembly.Memory {
  try {
    // It never grows: growing would cut off every view made before.
    return new WebAssembly.Memory({ initial: pages, maximum: pages });
  } catch (cause) {
    throw new PsycheError(
      "KERNEL_MEMORY_REFUSED",
      `The system has no room for a kernel memory of ${
        pages * PAGE
      } bytes; free memory, or raise ` +
        "the limit of this process's address space.",
      { cause },
    );
  }
}

/** Bytes that an array takes in a {@linkcode KernelMemory}. */
export function roundUp(bytes: number): number {
  return Math.ceil(bytes / ALIGNMENT) * ALIGNMENT;
}
