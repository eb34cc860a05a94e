/**
 * Memory that kernels of several threads work on, of a fixed size. The system provides what is written
 * to only.
 */
import { PsycheError } from "../../error.ts";

/** Of which a memory consists. */
export const PAGE = 65_536;
/** Of vectors, which every array begins with; also the unit in which room is counted. */
const ALIGNMENT = 16;
/** Room in the largest memory: what addresses of 32 bits reach, but for the page at 0. */
export const MOST_BYTES = 2 ** 32 - PAGE;

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
  readonly #buffer: SharedArrayBuffer;

  /**
   * @param room in bytes, at most {@linkcode MOST_BYTES}; or the parts of a memory that another thread made
   * @throws PsycheError `KERNEL_MEMORY_REFUSED` when the system has no room for it
   */
  constructor(room: number | MemoryParts) {
    this.parts = typeof room === "number" ? reserve(1 + Math.ceil(room / PAGE)) : room;
    this.#buffer = this.parts.memory.buffer as unknown as SharedArrayBuffer;
    homes.set(this.#buffer, { memory: this, base: 0 });
  }

  /**
   * Takes zeroed room that is given back with the whole memory only. Any thread may ask.
   *
   * @returns its address
   * @throws PsycheError `KERNEL_MEMORY_TOO_LARGE` when so much is not left
   */
  allocate(bytes: number): number {
    if (!this.hasRoom(bytes)) throw this.#tooLarge(bytes);
    const units = Math.ceil(bytes / ALIGNMENT);
    const start = Atomics.add(this.parts.taken, 0, units);
    // Another thread may have been faster.
    if ((start + units) * ALIGNMENT > this.#buffer.byteLength) throw this.#tooLarge(bytes);
    return start * ALIGNMENT;
  }

  /** Whether so many bytes can be taken. */
  hasRoom(bytes: number): boolean {
    const units = Atomics.load(this.parts.taken, 0) + Math.ceil(bytes / ALIGNMENT);
    return units * ALIGNMENT <= this.#buffer.byteLength;
  }

  /** A new array, zeroed. @throws as {@linkcode allocate} */
  take<T extends ArrayBufferView>(type: ArrayType<T>, length: number): T {
    return this.at(type, this.allocate(length * type.BYTES_PER_ELEMENT), length);
  }

  /** The array at an address. */
  at<T extends ArrayBufferView>(type: ArrayType<T>, address: number, length: number): T {
    return new type(this.#buffer, address, length);
  }

  /**
   * As {@linkcode take}, an array that libraries too accept which know nothing of shared memory. Needs
   * `--allow-ffi` without a path, see {@linkcode canAlias}.
   */
  takeAlias(length: number): Float32Array<ArrayBuffer> {
    return this.alias(this.allocate(length * Float32Array.BYTES_PER_ELEMENT), length);
  }

  /** The array at an address, as {@linkcode takeAlias} makes it. */
  alias(base: number, length: number): Float32Array<ArrayBuffer> {
    const bytes = length * Float32Array.BYTES_PER_ELEMENT;
    const pointer = Deno.UnsafePointer.of(new Uint8Array(this.#buffer))!;
    const buffer = Deno.UnsafePointerView.getArrayBuffer(pointer, bytes, base);
    // The entry keeps the memory for as long as somebody has the alias.
    homes.set(buffer, { memory: this, base });
    return new Float32Array(buffer);
  }

  #tooLarge(bytes: number): PsycheError {
    return new PsycheError(
      "KERNEL_MEMORY_TOO_LARGE",
      `${bytes} bytes are more than is left of a kernel memory of ${this.#buffer.byteLength}; ` +
        "use a smaller compression_chunk or smaller parameters.",
    );
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

/** The memory in which an array lies; null when in none. */
export function memoryOf({ buffer }: Float32Array): KernelMemory | null {
  return homes.get(buffer)?.memory ?? null;
}

function reserve(pages: number): MemoryParts {
  const taken = new Int32Array(new SharedArrayBuffer(4));
  // The first page stays free: no array begins at address 0.
  taken[0] = PAGE / ALIGNMENT;
  try {
    const memory = new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true });
    return { id: nextId++, memory, taken };
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
