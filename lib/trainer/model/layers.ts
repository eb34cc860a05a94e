/** Normalisation and gated feed-forward with derivatives written out (training-math.md section 5.1). */
import { add, mul, reciprocal, sigmoid, sqrt, sub } from "../graph/elementwise.ts";
import { gemm } from "../graph/linear.ts";
import { reduceSum, reduceSumOfSquares, reshape } from "../graph/shape.ts";
import { type Tensor, withDerivative } from "../graph/tensor.ts";

/**
 * `x / sqrt(mean(x^2) + epsilon) * weight` over the rows of `x` [rows, columns].
 *
 * The derivative needs of the result only what each row was multiplied by.
 */
export function rmsNorm(x: Tensor, weight: Tensor, epsilon: number): Tensor {
  const { graph } = x;
  const columns = x.shape[1];
  const { y, inverse } = graph.fused
    ? fusedNorm(x, weight, epsilon)
    : normByParts(x, weight, epsilon);
  return withDerivative(y, [x, weight], (g) => {
    const along = mul(g, x);
    // As a product with one column this would be a pass less, but depend on the number of threads.
    const inner = reduceSum(mul(along, weight), [1]);
    const share = mul(mul(inner, mul(inverse, inverse)), graph.scalar(1 / columns));
    const dx = mul(inverse, sub(mul(g, weight), mul(x, share)));
    const dWeight = gemm(inverse, along, { transA: true });
    return [dx, reshape(dWeight, weight.shape)];
  });
}

/** One pass of the runtime's own. */
function fusedNorm(x: Tensor, weight: Tensor, epsilon: number) {
  const [y, inverse] = x.graph.nodeWithOutputs(
    "SimplifiedLayerNormalization",
    [x, weight],
    [x.shape, [x.shape[0], 1]],
    { attributes: { axis: { int: 1 }, epsilon: { float: epsilon } } },
  );
  return { y, inverse };
}

function normByParts(x: Tensor, weight: Tensor, epsilon: number) {
  const { graph } = x;
  const square = mul(reduceSumOfSquares(x, [1]), graph.scalar(1 / x.shape[1]));
  const inverse = reciprocal(sqrt(add(square, graph.scalar(epsilon))));
  return { y: mul(mul(x, inverse), weight), inverse };
}

/**
 * `silu(gate) * up`. With s = sigmoid(gate) and y the result, the slope along `gate` times `up` is
 * y + s (up - y): the shortest way to it, and all of this is bound by memory.
 */
export function swiGlu(gate: Tensor, up: Tensor): Tensor {
  const activation = silu(gate);
  const y = mul(activation, up);
  return withDerivative(y, [gate, up], (g) => [
    mul(g, add(y, mul(sigmoid(gate), sub(up, y)))),
    mul(g, activation),
  ]);
}

function silu(x: Tensor): Tensor {
  if (!x.graph.fused) return mul(x, sigmoid(x));
  const attributes = { alpha: { float: 1 } };
  return x.graph.node("QuickGelu", [x], x.shape, { domain: "com.microsoft", attributes });
}
