/** Normalisation and gated feed-forward with derivatives written out (training-math.md section 5.1). */
import { add, mul, reciprocal, sigmoid, sqrt, sub } from "../graph/elementwise.ts";
import { reduceSum, reduceSumOfSquares, reshape } from "../graph/shape.ts";
import { type Tensor, withDerivative } from "../graph/tensor.ts";

/** `x / sqrt(mean(x^2) + epsilon) * weight` over the rows of `x` [rows, columns]. */
export function rmsNorm(x: Tensor, weight: Tensor, epsilon: number): Tensor {
  const { graph } = x;
  const columns = x.shape[1];
  // The mean's division by the number of columns moves into the weight, which is small.
  const length = sqrt(add(reduceSumOfSquares(x, [1]), graph.scalar(columns * epsilon)));
  const inverse = reciprocal(length);
  const unit = mul(x, inverse);
  const root = graph.scalar(Math.sqrt(columns));
  const scale = mul(weight, root);
  return withDerivative(mul(unit, scale), [x, weight], (g) => {
    const along = mul(g, unit);
    // As a product with one column this would be a pass less, but depend on the number of threads.
    const inner = reduceSum(mul(along, scale), [1]);
    const dx = mul(inverse, sub(mul(g, scale), mul(unit, inner)));
    return [dx, mul(reshape(reduceSum(along, [0]), weight.shape), root)];
  });
}

/**
 * `silu(gate) * up`. With s = sigmoid(gate) and y the result, the slope along `gate` times `up` is
 * y + s (up - y): the shortest way to it, and all of this is bound by memory.
 */
export function swiGlu(gate: Tensor, up: Tensor): Tensor {
  const s = sigmoid(gate);
  const activation = mul(gate, s);
  const y = mul(activation, up);
  return withDerivative(y, [gate, up], (g) => [
    mul(g, add(y, mul(s, sub(up, y)))),
    mul(g, activation),
  ]);
}
