/** Matrix products and softmax, and their derivatives. */
import { add, mul, sub } from "./elementwise.ts";
import { reduceSum, transposeLast } from "./shape.ts";
import { graphError, type Tensor, withDerivative } from "./tensor.ts";

/**
 * The runtime's CPU kernels add up 128 products at a time, but more at a time where a thread gets at
 * most 64 columns; and columns are what they divide between threads when there are more of them than
 * rows. So far the same sums come out for any number of threads up to 16.
 */
const SUMMED_AT_ONCE = 128;
const MOST_DIVIDED_COLUMNS = 64 * 16;

export interface GemmOptions {
  transA?: boolean;
  transB?: boolean;
  /** Factor on the product. */
  alpha?: number;
  /** Added to the product; has the shape of the result and carries no derivative. */
  plus?: Tensor;
}

/** `alpha * op(a) * op(b) (+ plus)` for matrices, where `op` transposes when asked to. */
export function gemm(a: Tensor, b: Tensor, options: GemmOptions = {}): Tensor {
  const { transA = false, transB = false, alpha = 1, plus } = options;
  const [m, inner] = transA ? [a.shape[1], a.shape[0]] : a.shape;
  const [rows, n] = transB ? [b.shape[1], b.shape[0]] : b.shape;
  if (a.shape.length !== 2 || b.shape.length !== 2 || inner !== rows) {
    throw graphError(`Gemm cannot multiply [${a.shape}] by [${b.shape}]`);
  }
  const isDivided = !transA && n > m && n <= MOST_DIVIDED_COLUMNS && inner > SUMMED_AT_ONCE;
  const y = isDivided && a.graph.fused
    ? turnedProduct(a, b, { transB, alpha, plus })
    : a.graph.node(
      "Gemm",
      plus === undefined ? [a, b] : [a, b, plus],
      [m, n],
      {
        attributes: {
          transA: { int: Number(transA) },
          transB: { int: Number(transB) },
          alpha: { float: alpha },
        },
      },
    );
  return withDerivative(y, [a, b], (g) => [
    transA
      ? gemm(b, g, { transA: transB, transB: true, alpha })
      : gemm(g, b, { transB: !transB, alpha }),
    transB
      ? gemm(g, a, { transA: true, transB: transA, alpha })
      : gemm(a, g, { transA: !transA, alpha }),
  ]);
}

/** `alpha * a * op(b) (+ plus)` as the transpose of `op(b)^T * a^T`, which has more rows than columns. */
function turnedProduct(
  a: Tensor,
  b: Tensor,
  { transB, alpha, plus }: Required<Pick<GemmOptions, "transB" | "alpha">> & { plus?: Tensor },
): Tensor {
  const product = transposeLast(matmul(transB ? b : transposeLast(b), transposeLast(a)));
  const scaled = alpha === 1 ? product : mul(product, a.graph.scalar(alpha));
  return plus === undefined ? scaled : add(scaled, plus);
}

/** Product of the last two axes; all axes before must be equal. */
export function matmul(a: Tensor, b: Tensor): Tensor {
  const rank = a.shape.length;
  const batched = rank === b.shape.length &&
    a.shape.slice(0, -2).every((length, axis) => length === b.shape[axis]);
  if (!batched || a.shape[rank - 1] !== b.shape[rank - 2]) {
    throw graphError(`MatMul cannot multiply [${a.shape}] by [${b.shape}]`);
  }
  return withDerivative(
    a.graph.node("MatMul", [a, b], [...a.shape.slice(0, -1), b.shape[rank - 1]]),
    [a, b],
    (g) => [matmul(g, transposeLast(b)), matmul(transposeLast(a), g)],
  );
}

/** Softmax over the last axis. */
export function softmax(x: Tensor): Tensor {
  const axis = x.shape.length - 1;
  const y = x.graph.node("Softmax", [x], x.shape, { attributes: { axis: { int: axis } } });
  return withDerivative(y, [x], (g) => [softmaxVjp(y, g)]);
}

/** `y * (g - sum(g * y))`: gradient of softmax's input from its output `y`. */
export function softmaxVjp(y: Tensor, g: Tensor): Tensor {
  return mul(y, sub(g, reduceSum(mul(g, y), [y.shape.length - 1])));
}
