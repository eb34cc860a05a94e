/** Vocabulary head and mean cross-entropy in one operator. */
import { add, atLeast, log, mul } from "../graph/elementwise.ts";
import { gatherInRows, gatherRows, scatterAddRows } from "../graph/gather.ts";
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
 * The gradients need the probabilities only, so each chunk of rows makes its part of them at once
 * and no table of one-hot rows is ever built.
 */
export function crossEntropyHead(
  x: Tensor,
  weight: Tensor,
  labels: Tensor,
  maxLogits = MAX_LOGITS,
): Tensor {
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
