/** Loops that look at every element of many arrays once. */
import type { Operand } from "./kernel_space.ts";
import type { Kernels } from "./kernels.ts";
import { type Loop, type Pieces, piecesOfItems } from "./loop.ts";

/** Elements of a piece: few enough for the cache, and a multiple of 16, which the fingerprint needs. */
const PIECE = 16_384;
/** Lanes of a fingerprint. */
export const LANES = 16;

/** One element after the other, in fp32. */
interface Elementwise {
  /** Operands that are written to. */
  written: readonly number[];
  call(kernels: Kernels, addresses: number[], length: number, numbers: readonly number[]): void;
}

const KERNELS = {
  /** `data *= n0` */
  scale: { written: [0], call: (k, [data], length, [factor]) => k.scale(data, length, factor) },
  /** `sum += data` */
  add: { written: [0], call: (k, [sum, data], length) => k.add(sum, data, length) },
  /** `sum = n0 * sum + n1 * data` */
  blend: {
    written: [0],
    call: (k, [sum, data], length, [keep, share]) => k.blend(sum, data, length, keep, share),
  },
  /** `out = weights - n0 * sign(residual)` */
  lookAhead: {
    written: [0],
    call: (k, [out, weights, residual], length, [rate]) =>
      k.look_ahead(out, weights, residual, length, rate),
  },
  /** One step of AdamW on weights, gradient and both moments. */
  adamw: {
    written: [0, 2, 3],
    call: (
      k,
      [weights, gradient, first, second],
      length,
      [b1, b2, rate, correction, eps, keep, clip],
    ) =>
      k.adamw(
        ...[weights, gradient, first, second, length] as const,
        ...[b1, b2, rate, correction, eps, keep, clip] as const,
      ),
  },
} satisfies Record<string, Elementwise>;

export interface ElementwiseTask {
  kernel: keyof typeof KERNELS;
  /** For each array of the model, the operands: all of one length. */
  arrays: readonly (readonly Operand[])[];
}

/** Runs with the numbers of its kernel. */
export const elementwise: Loop<ElementwiseTask> = ({ kernel, arrays }, spaces) => {
  const { written, call }: Elementwise = KERNELS[kernel];
  return overPieces(arrays, (operands, _, part, numbers) => {
    spaces.visit(operands, { ...part, written }, ({ kernels }, addresses) => {
      call(kernels, addresses, part.length, numbers);
    });
  });
};

export interface SumOfSquaresTask {
  arrays: readonly Operand[];
  /** One for each piece, in fp64. */
  sums: Float64Array<SharedArrayBuffer>;
}

export const sumOfSquares: Loop<SumOfSquaresTask> = ({ arrays, sums }, spaces) =>
  overPieces(arrays.map((array) => [array]), (operands, piece, part) => {
    spaces.visit(operands, { ...part, written: [] }, ({ kernels }, [data]) => {
      sums[piece] = kernels.sum_of_squares(data, part.length);
    });
  });

export interface FingerprintTask {
  arrays: readonly Operand[];
  /** {@linkcode LANES} for each piece. */
  lanes: Uint32Array<SharedArrayBuffer>;
}

export const fingerprint: Loop<FingerprintTask> = ({ arrays, lanes }, spaces) =>
  overPieces(arrays.map((array) => [array]), (operands, piece, part) => {
    spaces.visit(operands, { ...part, written: [] }, (space, [data]) => {
      const state = space.once("fingerprint", ({ memory }) => memory.take(Uint32Array, LANES));
      for (let lane = 0; lane < LANES; lane++) state[lane] = lane + 1;
      space.kernels.fingerprint(state.byteOffset, data, part.length);
      lanes.set(state, piece * LANES);
    });
  });

/** How many pieces an array has. */
export function pieceCount({ length }: { length: number }): number {
  return Math.ceil(length / PIECE);
}

/** Visits every piece of every array; `part` says where it lies in its array. */
function overPieces(
  arrays: readonly (readonly Operand[])[],
  visit: (
    operands: readonly Operand[],
    piece: number,
    part: { from: number; length: number },
    numbers: readonly number[],
  ) => void,
): Pieces {
  const counts = arrays.map(([first]) => pieceCount(first));
  return piecesOfItems(counts, (array, within, piece, numbers) => {
    const operands = arrays[array];
    const from = within * PIECE;
    const length = Math.min(PIECE, operands[0].length - from);
    visit(operands, piece, { from, length }, numbers);
  });
}
