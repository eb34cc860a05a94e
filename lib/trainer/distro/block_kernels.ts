/**
 * The kernels for blocks of one size (docs/protocol/training-math.md section 3): tables, buffers and
 * room for one band of blocks, which is a contiguous part of a parameter. What they change lies in the
 * same kernel memory.
 */
import { KernelMemory, roundUp } from "../kernels/kernel_memory.ts";
import { instantiateKernels, type Kernels } from "../kernels/kernels.ts";
import { dctBasis, exactCosine } from "./basis.ts";
import type { Entries } from "./entries.ts";
import type { DistroLayout } from "./layout.ts";

/** Entries that go over to the kernels at once. */
const MOST_ENTRIES = 4096;
/** Words of the workspace's header that hold the addresses of its tables. */
const TABLES = 3;

/** A band: `h` rows of a matrix, or a whole vector. */
export interface Band {
  /** Number of its first block. */
  block: number;
  /** Place of its first element in the parameter. */
  offset: number;
}

export class BlockKernels {
  readonly #kernels: Kernels;
  readonly #layout: DistroLayout;
  readonly #space: number;
  readonly #scale: number;
  readonly #indices: Int32Array<ArrayBuffer>;
  readonly #values: Float32Array<ArrayBuffer>;
  readonly #keptIndices: Int32Array<ArrayBuffer>;
  readonly #keptValues: Float32Array<ArrayBuffer>;
  /** Room for a band of an array that lies elsewhere: weights or gradient. */
  readonly band: Float32Array<ArrayBuffer>;

  /** Bytes that the constructor takes of a memory. */
  static bytes({ h, w, k, cols }: DistroLayout): number {
    return roundUp(workspaceBytes(h, w, k)) + roundUp(4 * h * cols) +
      2 * roundUp(4 * MOST_ENTRIES) + 2 * roundUp(4 * (cols / w) * k);
  }

  /** For parameters whose layout has the same blocks, entries and width, and arrays in `memory`. */
  constructor(layout: DistroLayout, memory: KernelMemory) {
    const { h, w, k, cols } = layout;
    this.#layout = layout;
    this.#kernels = memory.kernels;
    this.#space = memory.take(Uint8Array<ArrayBuffer>, workspaceBytes(h, w, k)).byteOffset;
    this.#scale = edgeScale(h) * edgeScale(w);
    this.#indices = memory.take(Int32Array<ArrayBuffer>, MOST_ENTRIES);
    this.#values = memory.take(Float32Array<ArrayBuffer>, MOST_ENTRIES);
    this.#keptIndices = memory.take(Int32Array<ArrayBuffer>, (cols / w) * k);
    this.#keptValues = memory.take(Float32Array<ArrayBuffer>, (cols / w) * k);
    this.band = memory.take(Float32Array<ArrayBuffer>, h * cols);

    memory.kernels.prepare_workspace(this.#space, h, w, k);
    const tables = new Uint32Array(memory.buffer, this.#space + 4 * TABLES, 4);
    const [rowBasis, columnBasis, rowFactors, columnFactors] = tables;
    const half = (n: number) => (n + 1) >> 1;
    writeBasis(new Float32Array(memory.buffer, rowBasis, h * half(h)), h, half(h));
    writeBasis(new Float32Array(memory.buffer, columnBasis, w * padded(half(w))), w, half(w));
    const rowTable = transformFactors(h);
    const columnTable = transformFactors(w);
    new Float32Array(memory.buffer, rowFactors, rowTable.length).set(rowTable);
    new Float32Array(memory.buffer, columnFactors, columnTable.length).set(columnTable);
  }

  /** `weights -= step * sign(decoded)` for the blocks of the band of weights in `band`. */
  apply({ block }: Band, results: readonly Entries[], step: number): void {
    const { cols, w } = this.#layout;
    for (let at = 0; at < cols; at += w) {
      this.#gather(block++, results);
      this.#kernels.apply_block(this.#space, this.band.byteOffset + 4 * at, cols, step);
    }
  }

  /**
   * `residual = (residual - decoded) * decay + rate * gradient` for a band of the residual, with that of
   * the gradient in `band`.
   */
  advance(
    { block, offset }: Band,
    residual: Float32Array,
    previous: readonly Entries[],
    { decay, rate }: { decay: number; rate: number },
  ): void {
    const { cols, w } = this.#layout;
    const address = residual.byteOffset + 4 * offset;
    // First the plain loop, which brings the band into the cache in order; blocks leap through it.
    const { byteOffset, length } = this.band;
    this.#kernels.decay_and_add(address, byteOffset, length, decay, rate);
    if (previous.length === 0) return;
    for (let at = 0; at < cols; at += w) {
      this.#gather(block++, previous);
      this.#kernels.subtract_block(this.#space, address + 4 * at, cols, decay);
    }
  }

  /**
   * Transforms the blocks of a band of the residual and writes the largest entries of each to `into`.
   * Returns whether all of them are finite.
   */
  compress({ block, offset }: Band, residual: Float32Array, into: Entries): boolean {
    const { cols, w, k } = this.#layout;
    let isFinite = 1;
    for (let at = 0, kept = 0; at < cols; at += w, kept += 4 * k) {
      isFinite &= this.#kernels.compress_block(
        this.#space,
        residual.byteOffset + 4 * (offset + at),
        cols,
        this.#scale,
        this.#keptIndices.byteOffset + kept,
        this.#keptValues.byteOffset + kept,
      );
    }
    into.indices.set(this.#keptIndices, block * k);
    into.values.set(this.#keptValues, block * k);
    return isFinite === 1;
  }

  /** Hands over the entries of one block, of all results in their order. */
  #gather(block: number, results: readonly Entries[]): void {
    const { k } = this.#layout;
    let count = 0;
    for (const { indices, values } of results) {
      for (let from = block * k, end = from + k; from < end;) {
        if (count === MOST_ENTRIES) count = this.#flush(count);
        const taken = Math.min(end - from, MOST_ENTRIES - count);
        for (let i = 0; i < taken; i++) {
          this.#indices[count + i] = indices[from + i];
          this.#values[count + i] = values[from + i];
        }
        count += taken;
        from += taken;
      }
    }
    this.#flush(count);
  }

  #flush(count: number): 0 {
    const { byteOffset } = this.#indices;
    this.#kernels.gather(this.#space, byteOffset, this.#values.byteOffset, count);
    return 0;
  }
}

/** Layouts with the same key can share {@linkcode BlockKernels}. */
export function kernelsKey({ h, w, k, cols }: DistroLayout): string {
  return [h, w, k, cols].join();
}

/** The bands of a parameter, in order. */
export function* bands({ leading, rows, cols, h, w }: DistroLayout): Generator<Band> {
  const count = leading * (rows / h);
  for (let band = 0; band < count; band++) {
    yield { block: band * (cols / w), offset: band * h * cols };
  }
}

/** Of every frequency but the first. */
function edgeScale(n: number): number {
  return n === 1 ? 1 : Math.sqrt(2 / n);
}

/** To the columns that the kernels decode at once. */
function padded(n: number): number {
  return (n + 7) & ~7;
}

/** The first `count` elements of each frequency's row; rows may be longer, with zeros then. */
function writeBasis(into: Float32Array, n: number, count: number): void {
  const basis = dctBasis(n);
  const stride = into.length / n;
  for (let k = 0; k < n; k++) {
    for (let j = 0; j < count; j++) into[k * stride + j] = basis[k * n + j];
  }
}

/** The table that `kernels/src/transform.rs` wants for length `n`. */
function transformFactors(n: number): number[] {
  const factors: number[] = [];
  let left = n;
  for (; left % 2 === 0; left /= 2) {
    for (let i = 0; i < left / 2; i++) factors.push(1 / (2 * exactCosine(2 * i + 1, left)));
  }
  for (let k = 0; k < left; k++) {
    for (let j = 0; j < left; j++) factors.push(exactCosine((2 * j + 1) * k, left));
  }
  return factors;
}

let sizes: Kernels | undefined;

/** Asked of an instance of its own: the size decides how large the real one has to be. */
function workspaceBytes(h: number, w: number, k: number): number {
  sizes ??= instantiateKernels(new WebAssembly.Memory({ initial: 2 }));
  return sizes.workspace_bytes(h, w, k);
}
