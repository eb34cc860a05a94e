/**
 * The kernels for blocks of one size (docs/protocol/training-math.md section 3) with their tables and
 * buffers. What they change lies in the same kernel memory. A band of blocks is a contiguous part of a
 * parameter.
 */
import type { KernelSpace } from "../kernels/kernel_space.ts";
import type { Kernels } from "../kernels/kernels.ts";
import { dctBasis, exactCosine } from "./basis.ts";
import type { Entries } from "./entries.ts";
import type { DistroLayout } from "./layout.ts";

/** Entries that go over to the kernels at once. */
const MOST_ENTRIES = 4096;
/** Words of the workspace's header that hold the addresses of its tables. */
const TABLES = 3;

export class BlockKernels {
  readonly #kernels: Kernels;
  readonly #layout: DistroLayout;
  readonly #space: number;
  readonly #scale: number;
  readonly #indices: Int32Array;
  readonly #values: Float32Array;
  readonly #keptIndices: Int32Array;
  readonly #keptValues: Float32Array;

  /** Those of one thread for layouts with the same blocks, entries and width. */
  static of(space: KernelSpace, layout: DistroLayout): BlockKernels {
    const { h, w, k, cols } = layout;
    return space.once(`blocks ${[h, w, k, cols]}`, () => new BlockKernels(space, layout));
  }

  private constructor({ kernels, memory }: KernelSpace, layout: DistroLayout) {
    const { h, w, k, cols } = layout;
    this.#layout = layout;
    this.#kernels = kernels;
    this.#space = memory.allocate(kernels.workspace_bytes(h, w, k));
    this.#scale = edgeScale(h) * edgeScale(w);
    this.#indices = memory.take(Int32Array, MOST_ENTRIES);
    this.#values = memory.take(Float32Array, MOST_ENTRIES);
    this.#keptIndices = memory.take(Int32Array, (cols / w) * k);
    this.#keptValues = memory.take(Float32Array, (cols / w) * k);

    kernels.prepare_workspace(this.#space, h, w, k);
    const { buffer } = memory.parts.memory;
    const tables = new Uint32Array(buffer, this.#space + 4 * TABLES, 4);
    const [rowBasis, columnBasis, rowFactors, columnFactors] = tables;
    const half = (n: number) => (n + 1) >> 1;
    writeBasis(new Float32Array(buffer, rowBasis, h * half(h)), h, half(h));
    writeBasis(new Float32Array(buffer, columnBasis, w * padded(half(w))), w, half(w));
    const rowTable = transformFactors(h);
    const columnTable = transformFactors(w);
    new Float32Array(buffer, rowFactors, rowTable.length).set(rowTable);
    new Float32Array(buffer, columnFactors, columnTable.length).set(columnTable);
  }

  /**
   * `weights -= step * sign(decoded)` for a band: `h` rows of a matrix, or a whole vector.
   *
   * @param weights address of the band
   * @param at number of the band's first entry in every result
   */
  apply(weights: number, results: readonly Entries[], at: number, step: number): void {
    const { cols, w, k } = this.#layout;
    for (let column = 0; column < cols; column += w, at += k) {
      this.#gather(results, at);
      this.#kernels.apply_block(this.#space, weights + 4 * column, cols, step);
    }
  }

  /** `residual = (residual - decoded) * decay + rate * gradient` for a band, both given by address. */
  advance(
    residual: number,
    gradient: number,
    previous: readonly Entries[],
    at: number,
    { decay, rate }: { decay: number; rate: number },
  ): void {
    const { cols, h, w, k } = this.#layout;
    // First the plain loop, which brings the band into the cache in order; blocks leap through it.
    this.#kernels.decay_and_add(residual, gradient, h * cols, decay, rate);
    if (previous.length === 0) return;
    for (let column = 0; column < cols; column += w, at += k) {
      this.#gather(previous, at);
      this.#kernels.subtract_block(this.#space, residual + 4 * column, cols, decay);
    }
  }

  /**
   * Transforms the blocks of a band of the residual and writes the largest entries of each to `into`,
   * from number `at` on. Returns whether all of them are finite.
   */
  compress(residual: number, into: Entries, at: number): boolean {
    const { cols, w, k } = this.#layout;
    let isFinite = 1;
    for (let column = 0, kept = 0; column < cols; column += w, kept += 4 * k) {
      isFinite &= this.#kernels.compress_block(
        this.#space,
        residual + 4 * column,
        cols,
        this.#scale,
        this.#keptIndices.byteOffset + kept,
        this.#keptValues.byteOffset + kept,
      );
    }
    into.indices.set(this.#keptIndices, at);
    into.values.set(this.#keptValues, at);
    return isFinite === 1;
  }

  /** Hands over the entries of one block, of all results in their order. */
  #gather(results: readonly Entries[], at: number): void {
    let count = 0;
    for (const { indices, values } of results) {
      for (let from = at, end = at + this.#layout.k; from < end;) {
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
