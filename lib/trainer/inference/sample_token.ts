/** Choosing the next token. */

/**
 * Index of the largest logit at temperature 0, otherwise a draw from softmax(logits / temperature).
 *
 * @param uniform the random number of the draw, in [0, 1)
 */
export function sampleToken(logits: Float32Array, temperature: number, uniform: number): number {
  const best = logits.reduce((found, value, i) => value > logits[found] ? i : found, 0);
  if (temperature === 0) return best;
  const weights = Float64Array.from(logits, (v) => Math.exp((v - logits[best]) / temperature));
  let left = uniform * weights.reduce((a, b) => a + b, 0);
  const drawn = weights.findIndex((weight) => (left -= weight) < 0);
  return drawn < 0 ? best : drawn;
}
