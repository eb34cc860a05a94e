/** Arithmetic on many arrays at once, by all threads that are given. */
import { type ElementwiseTask, pieceCount } from "./elementwise_loops.ts";
import { operand } from "./kernel_space.ts";
import { type KernelThreads, soleThread } from "./kernel_threads.ts";

/**
 * A kernel for these arrays, element by element in fp32; see `elementwise_loops.ts` for the kernels and
 * their numbers. It can be run many times.
 *
 * @param arrays for each array of a model the operands, which are as long as each other
 */
export function elementwise(
  kernel: ElementwiseTask["kernel"],
  arrays: readonly (readonly Float32Array[])[],
  threads: KernelThreads = soleThread(),
): (numbers?: readonly number[]) => void {
  const operands = arrays.map((own) => own.map(operand));
  return threads.loop("elementwise", { kernel, arrays: operands }, operands.flat());
}

/**
 * Gives of every array the sum of squares in fp64, whenever it is called; NaN or infinite just when an
 * element is.
 */
export function sumsOfSquares(
  arrays: readonly Float32Array[],
  threads: KernelThreads = soleThread(),
): () => number[] {
  const counts = arrays.map(pieceCount);
  const pieces = counts.reduce((a, b) => a + b, 0);
  const sums = new Float64Array(new SharedArrayBuffer(8 * pieces));
  const operands = arrays.map(operand);
  const run = threads.loop("sumOfSquares", { arrays: operands, sums }, operands);
  return () => {
    run();
    let end = 0;
    return counts.map((count) => sums.subarray(end, end += count).reduce((a, b) => a + b, 0));
  };
}
