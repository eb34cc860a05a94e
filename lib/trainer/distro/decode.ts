/**
 * From sparse coefficients back to a parameter-shaped tensor: docs/protocol/training-math.md
 * sections 3.1 (decode) and 3.3 (mean of all values written to a position).
 *
 * Every client of a run must get the same bits, so this is plain f64 arithmetic in one fixed order:
 *
 * 1. Values for one position are added in the order of the results (and of the entries within one),
 *    then divided by their number.
 * 2. Positions are taken in ascending order. Those of one block row `b` give the line
 *    `T_b[l] = sum over d of Y[b, d] * F_w[l, d]`, summed from zero.
 * 3. For the upper half of the block, `even` and `odd` are the sums over even and odd `b`, ascending,
 *    of `F_h[j, b] * T_b[l]`, four products at a time. Row `j` is `even + odd`, row `h - 1 - j` is
 *    `even - odd`, because cosines of even frequency are symmetric and the others antisymmetric.
 *
 * Only the rows of the basis that occur are used, which makes this as fast as a dense transform in
 * a matrix library.
 */
import { PsycheError } from "../../error.ts";
import type { SparseParameter } from "../trainer.ts";
import { dctBasis } from "./basis.ts";
import { decodeIndices } from "./index_encoding.ts";
import type { DistroLayout } from "./layout.ts";
import { decodeValues } from "./value_encoding.ts";

/** Indices and expanded values of one parameter of one result, blocks row-major, `k` each. */
export interface Entries {
  indices: Int32Array;
  values: Float32Array;
}

/**
 * Expands and checks one parameter of one result against the layout of the parameter.
 *
 * @throws PsycheError `DISTRO_RESULT_INVALID` when shape, totalk, k, a size, an index or a value is
 * not what a result for this layout must have.
 */
export function readEntries(sparse: SparseParameter, layout: DistroLayout): Entries {
  const sameShape = sparse.xshape.length === layout.xshape.length &&
    sparse.xshape.every((n, axis) => n === layout.xshape[axis]);
  if (!sameShape || sparse.totalk !== layout.totalk || sparse.k !== layout.k) {
    throw new PsycheError(
      "DISTRO_RESULT_INVALID",
      `A result of shape [${sparse.xshape}], totalk ${sparse.totalk}, k ${sparse.k} does not fit a parameter of shape [${layout.xshape}], totalk ${layout.totalk}, k ${layout.k}; refuse it.`,
    );
  }
  const indices = decodeIndices(sparse.indices, layout.totalk);
  const count = layout.blocks * layout.k;
  if (indices.length !== count) {
    throw new PsycheError(
      "DISTRO_RESULT_INVALID",
      `A result holds ${indices.length} indices where ${count} are needed; refuse it.`,
    );
  }
  return { indices, values: decodeValues(sparse.values, count, sparse.oneBit) };
}

/**
 * Decodes all blocks of one parameter and hands each to `visit` as `[h, w]` f64 with the offset of
 * its first element in the parameter. The block array is reused between calls.
 */
export function decodeBlocks(
  results: readonly Entries[],
  layout: DistroLayout,
  visit: (block: Float64Array, offset: number) => void,
): void {
  const { rows, cols, h, w, k, totalk, blocks } = layout;
  const columnBasis = dctBasis(w);
  const rowBasis = dctBasis(h);
  const sums = new Float64Array(totalk);
  const counts = new Uint32Array(totalk);
  const touched = new Int32Array(Math.min(totalk, results.length * k));
  const lines: Lines = [
    { count: 0, rows: new Int32Array(h), data: new Float64Array(h * w) },
    { count: 0, rows: new Int32Array(h), data: new Float64Array(h * w) },
  ];
  const block = new Float64Array(totalk);
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

    lines[0].count = lines[1].count = 0;
    let previousRow = -1;
    for (let p = 0; p < positions; p++) {
      const position = touched[p];
      const row = Math.floor(position / w);
      const basisAt = (position - row * w) * w;
      const mean = sums[position] / counts[position];
      sums[position] = counts[position] = 0;
      const half = lines[row & 1];
      if (row !== previousRow) {
        previousRow = row;
        half.rows[half.count] = row;
        half.data.fill(0, half.count * w, (half.count + 1) * w);
        half.count++;
      }
      const lineAt = (half.count - 1) * w;
      for (let l = 0; l < w; l++) half.data[lineAt + l] += mean * columnBasis[basisAt + l];
    }

    combine(block, lines, rowBasis, h, w);
    const within = b % blocksPerMatrix;
    const blockRow = Math.floor(within / blocksPerRow);
    const matrixOffset = ((b - within) / blocksPerMatrix) * rows * cols;
    visit(block, matrixOffset + blockRow * h * cols + (within % blocksPerRow) * w);
  }
}

/** Lines `T_b` of the even and of the odd block rows that occur. */
type Lines = [Half, Half];
interface Half {
  count: number;
  rows: Int32Array;
  data: Float64Array;
}

/** Step 3 of the order above: fills `block` from the lines. */
function combine(
  block: Float64Array,
  lines: Lines,
  basis: Float32Array,
  h: number,
  w: number,
): void {
  for (let j = 0; j < (h + 1) >> 1; j++) {
    // The sums are built in place: `even` in row j, `odd` in row h-1-j.
    const top = j * w;
    const bottom = (h - 1 - j) * w;
    if (top === bottom) {
      // The middle row of an odd height: odd frequencies vanish there.
      accumulate(block, top, lines[0], basis, j, h, w);
      continue;
    }
    accumulate(block, top, lines[0], basis, j, h, w);
    accumulate(block, bottom, lines[1], basis, j, h, w);
    for (let l = 0; l < w; l++) {
      const even = block[top + l];
      const odd = block[bottom + l];
      block[top + l] = even + odd;
      block[bottom + l] = even - odd;
    }
  }
}

/** `out[at + l] = sum over the lines of basis * line[l]`, four lines at a time. */
function accumulate(
  out: Float64Array,
  at: number,
  { count, rows, data }: Half,
  basis: Float32Array,
  j: number,
  h: number,
  w: number,
): void {
  out.fill(0, at, at + w);
  let line = 0;
  for (; line + 4 <= count; line += 4) {
    const f0 = basis[rows[line] * h + j];
    const f1 = basis[rows[line + 1] * h + j];
    const f2 = basis[rows[line + 2] * h + j];
    const f3 = basis[rows[line + 3] * h + j];
    const t0 = line * w;
    const t1 = t0 + w;
    const t2 = t1 + w;
    const t3 = t2 + w;
    for (let l = 0; l < w; l++) {
      out[at + l] += (f0 * data[t0 + l] + f1 * data[t1 + l]) +
        (f2 * data[t2 + l] + f3 * data[t3 + l]);
    }
  }
  for (; line < count; line++) {
    const f = basis[rows[line] * h + j];
    const t = line * w;
    for (let l = 0; l < w; l++) out[at + l] += f * data[t + l];
  }
}

/**
 * Decodes one parameter from all results (in the given order) into `dense`, each element rounded
 * once to fp32. Used for step C of section 3.2. No results leave `dense` zero.
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
  dense.fill(0);
  if (results.length === 0) return;
  const entries = results.map((sparse) => readEntries(sparse, layout));
  const { h, w, cols } = layout;
  decodeBlocks(entries, layout, (block, offset) => {
    for (let j = 0; j < h; j++) {
      dense.set(block.subarray(j * w, (j + 1) * w), offset + j * cols);
    }
  });
}
