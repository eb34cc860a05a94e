/**
 * The order of decoding, written down plainly: what the kernels of `../kernels/src/decode.rs` must
 * compute, bit by bit. Tests compare them with it; nothing else uses it.
 *
 * From sparse coefficients back to a parameter-shaped tensor: docs/protocol/training-math.md
 * sections 3.1 (decode) and 3.3 (mean of all values written to a position).
 *
 * Every client of a run must get the same bits, so this is plain fp32 arithmetic in one fixed order, every
 * product and every sum rounded:
 *
 * 1. Values for one position are added in f64 in the order of the results (and of the entries within
 *    one) and divided by their number; that mean is rounded to fp32, then multiplied by the factor.
 * 2. A block has four kinds of coefficients `Y[b, d]`, by the parities of `b` and `d`. Each kind gives
 *    one quarter `Q[j, l]`, for the upper left of the block (the middle row and column included):
 *    positions are taken in ascending order; those of one `b` give `T_b[l]`, the sum over `d` of
 *    `Y[b, d] * F_w[l, d]`; `Q[j, l]` is the sum over `b` of `F_h[j, b] * T_b[l]`. Sums begin with 0, and
 *    products are added one after the other.
 * 3. Even frequencies are symmetric and odd ones antisymmetric, so the four quarters give all four
 *    corners of the block by additions and subtractions, as `unfold` does.
 *
 * Only the rows of the basis that occur are used.
 */
import { PsycheError } from "../../error.ts";
import type { SparseParameter } from "../trainer.ts";
import { dctBasis } from "./basis.ts";
import { type Entries, readEntries } from "./entries.ts";
import type { DistroLayout } from "./layout.ts";

const { fround } = Math;

/**
 * Decodes all blocks of one parameter, times `factor`, and hands each to `visit` as `[h, w]` with the offset
 * of its first element in the parameter. The block array is reused between calls.
 */
export function decodeBlocks(
  results: readonly Entries[],
  layout: DistroLayout,
  visit: (block: Float32Array, offset: number) => void,
  factor = 1,
): void {
  const { rows, cols, h, w, k, blocks } = layout;
  const columnBasis = dctBasis(w);
  const rowBasis = dctBasis(h);
  const { sums, counts, touched, quarters, block } = workspace(h, w);
  const halfWidth = (w + 1) >> 1;
  const blocksPerRow = cols / w;
  const blocksPerMatrix = (rows / h) * blocksPerRow;

  for (let b = 0; b < blocks; b++) {
    let positions = 0;
    for (const { indices, values } of results) {
      for (let entry = b * k; entry < (b + 1) * k; entry++) {
        const position = indices[entry];
        if (counts[position]++ === 0) touched[positions++] = position;
        sums[position] += values[entry];
      }
    }
    touched.subarray(0, positions).sort();

    for (const quarter of quarters) quarter.count = 0;
    for (let p = 0; p < positions; p++) {
      const position = touched[p];
      const row = Math.floor(position / w);
      const column = position - row * w;
      const mean = fround(fround(sums[position] / counts[position]) * fround(factor));
      sums[position] = counts[position] = 0;
      const quarter = quarters[(row & 1) * 2 + (column & 1)];
      const { lines } = quarter;
      if (quarter.count === 0 || quarter.rows[quarter.count - 1] !== row) {
        lines.fill(0, quarter.count * halfWidth, (quarter.count + 1) * halfWidth);
        quarter.rows[quarter.count++] = row;
      }
      const at = (quarter.count - 1) * halfWidth;
      const basisAt = column * w;
      for (let l = 0; l < halfWidth; l++) lines[at + l] += fround(mean * columnBasis[basisAt + l]);
    }
    for (let j = 0; j < (h + 1) >> 1; j++) {
      for (const quarter of quarters) accumulate(quarter, rowBasis, j, h);
      unfold(block, quarters, j, h, w);
    }
    const within = b % blocksPerMatrix;
    const blockRow = Math.floor(within / blocksPerRow);
    const matrixOffset = ((b - within) / blocksPerMatrix) * rows * cols;
    visit(block, matrixOffset + blockRow * h * cols + (within % blocksPerRow) * w);
  }
}

/** Coefficients of one kind: their lines `T_b`, and one row of the quarter they give. */
interface Quarter {
  count: number;
  /** `b` of each line, ascending. */
  rows: Int32Array;
  /** `[count, half width]` */
  lines: Float32Array;
  /** Row `j` of the quarter. */
  sums: Float32Array;
}

/** What decoding blocks of one size needs; most parameters of a model share it. */
interface Workspace {
  /** Sum and number of the values written to each position; zero between two blocks. */
  sums: Float64Array;
  counts: Uint32Array;
  /** Positions written to. */
  touched: Int32Array;
  /** By the parity of the row, then of the column. */
  quarters: Quarter[];
  block: Float32Array;
}

const workspaces = new Map<string, Workspace>();

function workspace(h: number, w: number): Workspace {
  const key = `${h}x${w}`;
  let found = workspaces.get(key);
  if (found === undefined) {
    const halfWidth = (w + 1) >> 1;
    found = {
      sums: new Float64Array(h * w),
      counts: new Uint32Array(h * w),
      touched: new Int32Array(h * w),
      quarters: [0, 1, 2, 3].map((): Quarter => ({
        count: 0,
        rows: new Int32Array(h),
        lines: new Float32Array(h * halfWidth),
        sums: new Float32Array(halfWidth),
      })),
      block: new Float32Array(h * w),
    };
    workspaces.set(key, found);
  }
  return found;
}

/** Row `j` of a quarter: the sum of its lines, each times its basis value. */
function accumulate(
  { count, rows, lines, sums }: Quarter,
  basis: Float32Array,
  j: number,
  h: number,
): void {
  const width = sums.length;
  sums.fill(0);
  for (let line = 0; line < count; line++) {
    const factor = basis[rows[line] * h + j];
    for (let l = 0; l < width; l++) sums[l] += fround(factor * lines[line * width + l]);
  }
}

/**
 * Rows `j` and `h - 1 - j` of the block from row `j` of the quarters. In the middle of an odd edge
 * both are the same place and, odd frequencies being exactly zero there, the same value.
 */
function unfold(block: Float32Array, quarters: Quarter[], j: number, h: number, w: number): void {
  const evenEven = quarters[0].sums;
  const evenOdd = quarters[1].sums;
  const oddEven = quarters[2].sums;
  const oddOdd = quarters[3].sums;
  const top = j * w;
  const bottom = (h - 1 - j) * w;
  for (let l = 0, mirrored = w - 1; l <= mirrored; l++, mirrored--) {
    const evenLeft = fround(evenEven[l] + evenOdd[l]);
    const evenRight = fround(evenEven[l] - evenOdd[l]);
    const oddLeft = fround(oddEven[l] + oddOdd[l]);
    const oddRight = fround(oddEven[l] - oddOdd[l]);
    block[bottom + l] = evenLeft - oddLeft;
    block[bottom + mirrored] = evenRight - oddRight;
    block[top + l] = evenLeft + oddLeft;
    block[top + mirrored] = evenRight + oddRight;
  }
}

/**
 * Decodes one parameter from all results (in the given order) into `dense`. No results leave `dense` zero.
 *
 * @throws PsycheError `DISTRO_RESULT_INVALID`, see {@linkcode readEntries}.
 */
export function decodeInto(
  dense: Float32Array,
  results: readonly SparseParameter[],
  layout: DistroLayout,
): void {
  if (dense.length !== layout.blocks * layout.totalk) {
    throw new PsycheError(
      "DISTRO_RESULT_INVALID",
      `The target holds ${dense.length} elements, the layout ${
        layout.blocks * layout.totalk
      }; pass the parameter this layout was made for.`,
    );
  }
  if (results.length === 0) {
    dense.fill(0);
    return;
  }
  const entries = results.map((sparse) => readEntries(sparse, layout));
  const { h, w, cols } = layout;
  decodeBlocks(entries, layout, (block, offset) => {
    for (let j = 0; j < h; j++) {
      const at = offset + j * cols;
      const from = j * w;
      for (let l = 0; l < w; l++) dense[at + l] = block[from + l];
    }
  });
}
