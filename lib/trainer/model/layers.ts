/** Normalisation and gated feed-forward with derivatives written out (training-math.md section 5.1). */
import { add, mean, mul, reciprocal, sigmoid, sqrt, sub } from "../graph/elementwise.ts";
import { reduceSum, reshape } from "../graph/shape.ts";
import { type Tensor, withDerivative } from "../graph/tensor.ts";

/** `x / sqrt(mean(x^2) + epsilon) * weight` over the rows of `x` [rows, columns]. */
export function rmsNorm(x: Tensor, weight: Tensor, epsilon: number): Tensor {
  const inverse = reciprocal(sqrt(add(mean(mul(x, x), [1]), x.graph.scalar(epsilon))));
  const normal = mul(x, inverse);
  return withDerivative(mul(normal, weight), [x, weight], (g) => {
    const weighted = mul(g, weight);
    const dx = mul(inverse, sub(weighted, mul(normal, mean(mul(weighted, normal), [1]))));
    return [dx, reshape(reduceSum(mul(g, normal), [0]), weight.shape)];
  });
}

/** `silu(gate) * up`. */
export function swiGlu(gate: Tensor, up: Tensor): Tensor {
  const s = sigmoid(gate);
  const activation = mul(gate, s);
  return withDerivative(mul(activation, up), [gate, up], (g) => {
    const slope = sub(add(s, activation), mul(activation, s));
    return [mul(mul(g, up), slope), mul(g, activation)];
  });
}
