/** Arithmetic on many arrays at once, by all threads that are given. */
import { placeOf } from "./kernel_memory.ts";
import type { Operand } from "./kernel_space.ts";
import { type ElementwiseTask, pieceCount } from "./elementwise_loops.ts";
import { type KernelThreads, soleThread } from "./kernel_threads.ts";

/**
 * Runs a kernel on every array, element by element in fp32; see `elementwise_loops.ts` for the kernels.
 *
 * @param arrays for each array of a model the operands, which are as long as each other
 */
export function elementwise(
  kernel: ElementwiseTask["kernel"],
  arrays: readonly (readonly Float32Array[])[],
  numbers: readonly number[],
  threads: KernelThreads = soleThread(),
): void {
  const operands = arrays.map((own) => own.map(operand));
  threads.run("elementwise", { kernel, arrays: operands, numbers }, !canShare(operands.flat()));
}

/** Of every array the sum of squares in fp64; NaN or infinite just when an element is. */
export function sumsOfSquares(
  arrays: readonly Float32Array[],
  threads: KernelThreads = soleThread(),
): number[] {
  const counts = arrays.map(pieceCount);
  const pieces = counts.reduce((a, b) => a + b, 0);
  const sums = new Float64Array(new SharedArrayBuffer(8 * pieces));
  const operands = arrays.map(operand);
  threads.run("sumOfSquares", { arrays: operands, sums }, !canShare(operands));
  let end = 0;
  return counts.map((count) => sums.subarray(end, end += count).reduce((a, b) => a + b, 0));
}

export function operand(array: Float32Array): Operand {
  return placeOf(array) ?? array;
}

/** Other threads cannot see ordinary arrays. */
export function canShare(operands: readonly Operand[]): boolean {
  return !operands.some((each) => each instanceof Float32Array);
}
