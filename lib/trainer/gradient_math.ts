/** Sums over all parameters' gradients. */
import { PsycheError } from "../error.ts";
import { addInto, scale, sumOfSquares } from "./kernels/elementwise.ts";

/** Gradients by parameter name, fp32. */
export type Gradients = Map<string, Float32Array<ArrayBuffer>>;

/** `sum += gradients`, element by element. */
export function addGradients(sum: Gradients, gradients: Gradients): void {
  for (const [name, target] of sum) addInto(target, gradients.get(name)!);
}

export function scaleGradients(gradients: Gradients, factor: number): void {
  for (const data of gradients.values()) scale(data, factor);
}

/**
 * Euclidean norm over all gradients, accumulated in float64.
 *
 * @throws PsycheError `GRADIENT_NOT_FINITE` naming the parameter that holds a NaN or infinity.
 */
export function gradientNorm(gradients: Gradients): number {
  let total = 0;
  for (const [name, data] of gradients) {
    const sum = sumOfSquares(data);
    if (!Number.isFinite(sum)) {
      throw new PsycheError(
        "GRADIENT_NOT_FINITE",
        `The gradient of ${name} is not finite, so the batch is refused; ` +
          "lower the learning rate, set clip_grad_norm or check the data.",
      );
    }
    total += sum;
  }
  return Math.sqrt(total);
}

/**
 * Factor that shrinks gradients of norm `norm` to `max` (docs/protocol/training-math.md section 2,
 * Clipping); 1 when they are not longer, or `max` is null or 0.
 */
export function clipFactor(norm: number, max: number | null): number {
  return max !== null && max > 0 && norm > max ? max / (norm + 1e-6) : 1;
}
