/**
 * How a parameter is cut into blocks for DisTrO: docs/protocol/training-math.md section 3.1.
 */
import { PsycheError } from "../../error.ts";

/** The two numbers of a run's optimizer settings that fix the block layout. */
export interface DistroHyper {
  /** Target block edge (`compression_chunk`). */
  chunk: number;
  /** Entries kept per block before clamping (`compression_topk`). */
  topk: number;
}

/** Block layout of one parameter. A vector is treated as one row: `h` = 1. */
export interface DistroLayout {
  /** Product of all dimensions before the last two. */
  leading: number;
  /** Rows of one matrix (1 for a vector). */
  rows: number;
  /** Columns of one matrix (length of a vector). */
  cols: number;
  /** Block height, a divisor of `rows`. */
  h: number;
  /** Block width, a divisor of `cols`. */
  w: number;
  /** Number of blocks over all leading indices. */
  blocks: number;
  /** Shape of the transformed tensor: `[x, w]` for vectors, else `[...leading, y, x, h, w]`. */
  xshape: number[];
  /** Entries of a flattened block. */
  totalk: number;
  /** Entries kept per block, `topk` clamped to 1..totalk. */
  k: number;
}

/** Largest block edge for which a basis table (`edge * edge` floats) is still reasonable. */
const MAX_BLOCK_EDGE = 4096;

/** Largest divisor of `n` not above `target` (at least 1), section 3.1. */
export function chunkSize(n: number, target: number): number {
  for (let size = Math.min(n, Math.max(1, target)); size > 1; size--) {
    if (n % size === 0) return size;
  }
  return 1;
}

/**
 * Block layout of a parameter of the given shape, section 3.1.
 *
 * @throws PsycheError `DISTRO_SHAPE_INVALID` for an empty shape, a dimension that is not a positive
 * integer, a bad chunk or top-k, or a block edge above 4096.
 */
export function distroLayout(shape: readonly number[], hyper: DistroHyper): DistroLayout {
  const positive = (value: number) => Number.isSafeInteger(value) && value > 0;
  const size = shape.reduce((product, n) => product * n, 1);
  if (shape.length === 0 || !shape.every(positive) || !positive(size)) {
    throw new PsycheError(
      "DISTRO_SHAPE_INVALID",
      `DisTrO cannot compress a parameter of shape [${shape}]; use one or more positive dimensions.`,
    );
  }
  if (!positive(hyper.chunk) || !Number.isSafeInteger(hyper.topk) || hyper.topk < 0) {
    throw new PsycheError(
      "DISTRO_SHAPE_INVALID",
      `compression_chunk ${hyper.chunk} and compression_topk ${hyper.topk} must be positive integers; correct the run's optimizer settings.`,
    );
  }
  const cols = shape[shape.length - 1];
  const isVector = shape.length === 1;
  const rows = isVector ? 1 : shape[shape.length - 2];
  const leadingShape = shape.slice(0, -2);
  const leading = leadingShape.reduce((product, n) => product * n, 1);
  const h = chunkSize(rows, hyper.chunk);
  const w = chunkSize(cols, hyper.chunk);
  if (Math.max(h, w) > MAX_BLOCK_EDGE) {
    throw new PsycheError(
      "DISTRO_SHAPE_INVALID",
      `compression_chunk ${hyper.chunk} gives ${h} x ${w} blocks for shape [${shape}]; choose a chunk of at most ${MAX_BLOCK_EDGE}.`,
    );
  }
  const y = rows / h;
  const x = cols / w;
  const totalk = h * w;
  return {
    leading,
    rows,
    cols,
    h,
    w,
    blocks: leading * y * x,
    xshape: isVector ? [x, w] : [...leadingShape, y, x, h, w],
    totalk,
    k: Math.min(Math.max(hyper.topk, 1), totalk),
  };
}

/** Entries kept of one parameter. */
export function entryCount({ blocks, k }: DistroLayout): number {
  return blocks * k;
}
