/** Vocabulary head and mean cross-entropy in one operator. */
import { add, atLeast, div, log, mul, neg } from "../graph/elementwise.ts";
import { gatherInRows, gatherRows, scatterAddRows } from "../graph/gather.ts";
import { integerAtLeast, notNegative } from "../graph/integers.ts";
import { gemm, softmax } from "../graph/linear.ts";
import { concat, reduceSum, reshape, slice } from "../graph/shape.ts";
import { type Tensor, withDerivative } from "../graph/tensor.ts";

/** Most logits held at a time; bounds the memory of large vocabularies. */
const MAX_LOGITS = 1 << 24;
/** Smallest probability whose logarithm the reported loss takes. */
const FLOOR = 1e-37;

/**
 * Mean of -log softmax(x weight^T)[label] over the rows of `x` [rows, d], for `weight` [vocabulary, d]
 * and int32 `labels` [rows] (docs/protocol/training-math.md section 2, Loss).
 *
 * With `someCount`, rows whose label is negative count neither in the sum nor in the mean; when no row
 * counts, loss and gradients are 0.
 *
 * The gradients need the probabilities only, so each chunk of rows makes its part of them at once
 * and no table of one-hot rows is ever built.
 */
export function crossEntropyHead(
  x: Tensor,
  weight: Tensor,
  labels: Tensor,
  { someCount = false, maxLogits = MAX_LOGITS } = {},
): Tensor {
  return someCount
    ? countedHead(x, weight, labels, maxLogits)
    : wholeHead(x, weight, labels, maxLogits);
}

/** Every row has the same share in the mean, which the products apply at no cost. */
function wholeHead(x: Tensor, weight: Tensor, labels: Tensor, maxLogits: number): Tensor {
  const { graph } = x;
  const rows = x.shape[0];
  const chunks = Math.ceil(rows * weight.shape[0] / maxLogits);
  const chunkRows = Math.ceil(rows / chunks);
  let total: Tensor | undefined, dWeight: Tensor | undefined;
  const dx: Tensor[] = [];
  for (let start = 0; start < rows; start += chunkRows) {
    const end = Math.min(start + chunkRows, rows);
    const part = slice(x, 0, start, end);
    const label = slice(labels, 0, start, end);
    const probabilities = softmax(gemm(part, weight, { transB: true }));
    const found = atLeast(gatherInRows(probabilities, label), FLOOR);
    const sum = reduceSum(log(found), [0, 1]);
    total = total === undefined ? sum : add(total, sum);
    const minusTarget = mul(gatherRows(weight, label), graph.scalar(-1 / rows));
    dx.push(gemm(probabilities, weight, { alpha: 1 / rows, plus: minusTarget }));
    dWeight = gemm(probabilities, part, { transA: true, alpha: 1 / rows, plus: dWeight });
  }
  const loss = mul(reshape(total!, []), graph.scalar(-1 / rows));
  return withDerivative(loss, [x, weight], (g) => {
    const correction = mul(x, graph.scalar(-1 / rows));
    return [mul(concat(dx, 0), g), mul(scatterAddRows(dWeight!, labels, correction), g)];
  });
}

/** Each row's share in the mean is computed: 1 / (rows that count), or 0. */
function countedHead(x: Tensor, weight: Tensor, labels: Tensor, maxLogits: number): Tensor {
  const rows = x.shape[0];
  const counts = reshape(notNegative(labels), [rows, 1]);
  const shares = div(counts, atLeast(reduceSum(counts, [0, 1]), 1));
  const found = integerAtLeast(labels, 0);
  const shared = mul(x, shares);
  const chunks = Math.ceil(rows * weight.shape[0] / maxLogits);
  const chunkRows = Math.ceil(rows / chunks);
  const logs: Tensor[] = [], dx: Tensor[] = [];
  let dWeight: Tensor | undefined;
  for (let start = 0; start < rows; start += chunkRows) {
    const end = Math.min(start + chunkRows, rows);
    const label = slice(found, 0, start, end);
    const probabilities = softmax(gemm(slice(x, 0, start, end), weight, { transB: true }));
    logs.push(log(atLeast(gatherInRows(probabilities, label), FLOOR)));
    dx.push(gemm(probabilities, weight, { plus: neg(gatherRows(weight, label)) }));
    const part = slice(shared, 0, start, end);
    dWeight = gemm(probabilities, part, { transA: true, plus: dWeight });
  }
  const loss = neg(reshape(reduceSum(mul(concat(logs, 0), shares), [0, 1]), []));
  return withDerivative(loss, [x, weight], (g) => [
    mul(mul(concat(dx, 0), shares), g),
    mul(scatterAddRows(dWeight!, found, neg(shared)), g),
  ]);
}
