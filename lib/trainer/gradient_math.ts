/** Sums over all parameters' gradients; plain loops, because the work is bound by memory. */
import { PsycheError } from "../error.ts";

/** Gradients by parameter name, fp32. */
export type Gradients = Map<string, Float32Array<ArrayBuffer>>;

/** `sum += gradients`, element by element. */
export function addGradients(sum: Gradients, gradients: Gradients): void {
  for (const [name, target] of sum) {
    const source = gradients.get(name)!;
    for (let i = 0; i < target.length; i++) target[i] += source[i];
  }
}

export function scaleGradients(gradients: Gradients, factor: number): void {
  for (const data of gradients.values()) {
    for (let i = 0; i < data.length; i++) data[i] *= factor;
  }
}

/** Four sums side by side: one alone would wait for each addition to end before the next. */
function sumOfSquares(data: Float32Array): number {
  let a = 0, b = 0, c = 0, d = 0;
  const whole = data.length & ~3;
  for (let i = 0; i < whole; i += 4) {
    a += data[i] * data[i];
    b += data[i + 1] * data[i + 1];
    c += data[i + 2] * data[i + 2];
    d += data[i + 3] * data[i + 3];
  }
  for (let i = whole; i < data.length; i++) a += data[i] * data[i];
  return (a + b) + (c + d);
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
 * Shrinks gradients of norm `norm` to `max` (docs/protocol/training-math.md section 2, Clipping);
 * null or 0 leaves them.
 */
export function clipGradients(gradients: Gradients, norm: number, max: number | null): void {
  if (max !== null && max > 0 && norm > max) scaleGradients(gradients, max / (norm + 1e-6));
}
