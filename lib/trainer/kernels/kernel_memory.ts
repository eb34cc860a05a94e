/**
 * Memory that kernels of several threads work on. It grows as arrays are taken from it, up to the 4 GiB
 * that addresses of 32 bits reach.
 */
import { PsycheError } from "../../error.ts";

const PAGE = 65_536;
/** Of vectors, which every array begins with; also the unit in which room is counted. */
const ALIGNMENT = 16;
const MOST_PAGES = 2 ** 16;

/** What another thread needs to work on the same memory. It can be posted. */
export interface MemoryParts {
  id: number;
  memory: WebAssembly.Memory;
  /** Units of {@linkcode ALIGNMENT} that are taken. */
  taken: Int32Array<SharedArrayBuffer>;
}

/** An array in a memory, as threads tell each other. */
export interface Place {
  /** Of its memory. */
  id: number;
  /** In bytes. */
  address: number;
  /** In elements. */
  length: number;
}

type ArrayType<T> =
  & { BYTES_PER_ELEMENT: number }
  & (new (
    buffer: SharedArrayBuffer,
    offset: number,
    length: number,
  ) => T);

/** The memory and first address of every buffer that lies in one. */
const homes = new WeakMap<ArrayBufferLike, { memory: KernelMemory; base: number }>();
let nextId = 0;

export class KernelMemory {
  readonly parts: MemoryParts;

  /**
   * Room for nothing yet.
   *
   * @param parts of a memory that another thread made
   * @throws PsycheError `KERNEL_MEMORY_REFUSED` when the system has no room for it
   */
  constructor(parts?: MemoryParts) {
    if (parts !== undefined) {
      this.parts = parts;
      return;
    }
    const taken = new Int32Array(new SharedArrayBuffer(4));
    // No array begins at address 0.
    taken[0] = PAGE / ALIGNMENT;
    this.parts = { id: nextId++, memory: reserve(), taken };
  }

  /**
   * Takes zeroed room that is given back with the whole memory only. Any thread may ask.
   *
   * @returns its address
   * @throws PsycheError `KERNEL_MEMORY_TOO_LARGE` beyond 4 GiB, `KERNEL_MEMORY_REFUSED`
   */
  allocate(bytes: number): number {
    const { taken } = this.parts;
    const units = Math.ceil(bytes / ALIGNMENT);
    if (!this.hasRoom(bytes)) throw tooLarge(bytes);
    const start = Atomics.add(taken, 0, units);
    this.#growTo(Math.ceil((start + units) * ALIGNMENT / PAGE));
    return start * ALIGNMENT;
  }

  /** Whether so many bytes can be taken. */
  hasRoom(bytes: number): boolean {
    const units = Atomics.load(this.parts.taken, 0) + Math.ceil(bytes / ALIGNMENT);
    return units * ALIGNMENT <= MOST_PAGES * PAGE;
  }

  /** A new array, zeroed. @throws as {@linkcode allocate} */
  take<T extends ArrayBufferView>(type: ArrayType<T>, length: number): T {
    return this.at(type, this.allocate(length * type.BYTES_PER_ELEMENT), length);
  }

  /** The array at an address. */
  at<T extends ArrayBufferView>(type: ArrayType<T>, address: number, length: number): T {
    const array = new type(
      this.parts.memory.buffer as unknown as SharedArrayBuffer,
      address,
      length,
    );
    homes.set(array.buffer, { memory: this, base: 0 });
    return array;
  }

  /**
   * As {@linkcode take}, an array that libraries too accept which know nothing of shared memory. Needs
   * `--allow-ffi` without a path, see {@linkcode canAlias}.
   */
  takeAlias(length: number): Float32Array<ArrayBuffer> {
    const bytes = length * Float32Array.BYTES_PER_ELEMENT;
    const base = this.allocate(bytes);
    // Growing does not move a shared memory.
    const pointer = Deno.UnsafePointer.of(new Uint8Array(this.parts.memory.buffer))!;
    const buffer = Deno.UnsafePointerView.getArrayBuffer(pointer, bytes, base);
    // The entry keeps the memory for as long as somebody has the alias.
    homes.set(buffer, { memory: this, base });
    return new Float32Array(buffer);
  }

  #growTo(pages: number): void {
    const { memory } = this.parts;
    const missing = () => pages - memory.buffer.byteLength / PAGE;
    try {
      if (missing() > 0) memory.grow(missing());
    } catch (cause) {
      // Another thread may have been faster.
      if (missing() > 0) throw refused(pages * PAGE, cause);
    }
  }
}

/** Whether this process may make an ordinary array of shared memory. */
export function canAlias(): boolean {
  return Deno.permissions.querySync({ name: "ffi" }).state === "granted";
}

/** Where an array lies; null when not in a kernel memory. */
export function placeOf({ buffer, byteOffset, length }: Float32Array): Place | null {
  const home = homes.get(buffer);
  if (home === undefined) return null;
  return { id: home.memory.parts.id, address: home.base + byteOffset, length };
}

function reserve(): WebAssembly.Memory {
  try {
    return new WebAssembly.Memory({ initial: 1, maximum: MOST_PAGES, shared: true });
  } catch (cause) {
    throw refused(MOST_PAGES * PAGE, cause);
  }
}

function tooLarge(bytes: number): PsycheError {
  return new PsycheError(
    "KERNEL_MEMORY_TOO_LARGE",
    `${bytes} bytes do not fit the 4 GiB of one kernel memory; ` +
      "use a smaller compression_chunk or smaller parameters.",
  );
}

function refused(bytes: number, cause: unknown): PsycheError {
  return new PsycheError(
    "KERNEL_MEMORY_REFUSED",
    `The system has no room for a kernel memory of ${bytes} bytes; free memory, or raise ` +
      "the limit of this process's address space.",
    { cause },
  );
}
