/** Sums over all parameters' gradients. */
import { PsycheError } from "../error.ts";
import { elementwise, sumsOfSquares } from "./kernels/elementwise.ts";
import { type KernelThreads, soleThread } from "./kernels/kernel_threads.ts";

/** Gradients by parameter name, fp32. */
export type Gradients = Map<string, Float32Array<ArrayBuffer>>;

/** `sum += gradients`, element by element. */
export function addGradients(
  sum: Gradients,
  gradients: Gradients,
  threads: KernelThreads = soleThread(),
): void {
  const pairs = [...sum].map(([name, target]) => [target, gradients.get(name)!]);
  elementwise("add", pairs, [], threads);
}

export function scaleGradients(
  gradients: Gradients,
  factor: number,
  threads: KernelThreads = soleThread(),
): void {
  elementwise("scale", [...gradients.values()].map((data) => [data]), [factor], threads);
}

/**
 * Euclidean norm over all gradients, accumulated in float64 in an order of its own that no number of
 * threads changes.
 *
 * @throws PsycheError `GRADIENT_NOT_FINITE` naming the parameter that holds a NaN or infinity.
 */
export function gradientNorm(
  gradients: Gradients,
  threads: KernelThreads = soleThread(),
): number {
  const sums = sumsOfSquares([...gradients.values()], threads);
  const broken = sums.findIndex((sum) => !Number.isFinite(sum));
  if (broken >= 0) {
    throw new PsycheError(
      "GRADIENT_NOT_FINITE",
      `The gradient of ${[...gradients.keys()][broken]} is not finite, so the batch is refused; ` +
        "lower the learning rate, set clip_grad_norm or check the data.",
    );
  }
  return Math.sqrt(sums.reduce((a, b) => a + b, 0));
}

/**
 * Factor that shrinks gradients of norm `norm` to `max` (docs/protocol/training-math.md section 2,
 * Clipping); 1 when they are not longer, or `max` is null or 0.
 */
export function clipFactor(norm: number, max: number | null): number {
  return max !== null && max > 0 && norm > max ? max / (norm + 1e-6) : 1;
}
