/** Vocabulary head and mean cross-entropy in one operator. */
import { atLeast, div, log, mul, neg } from "../graph/elementwise.ts";
import { gatherInRows, gatherRows, scatterAddRows } from "../graph/gather.ts";
import { integerAtLeast, notNegative } from "../graph/integers.ts";
import { gemm, softmax } from "../graph/linear.ts";
import { after } from "../graph/order.ts";
import { concat, reduceSum, reshape, slice } from "../graph/shape.ts";
import { type Tensor, withDerivative } from "../graph/tensor.ts";

/** Most logits held at a time; bounds the memory of large vocabularies. */
export const MAX_LOGITS = 1 << 24;
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
 * and no table of one-hot rows is ever built. One chunk follows the other, so that the probabilities of one
 * at a time are in memory; without `derives`, for the loss alone, they are gone as soon as it is known.
 */
export function crossEntropyHead(
  x: Tensor,
  weight: Tensor,
  labels: Tensor,
  { someCount = false, derives = true, maxLogits = MAX_LOGITS } = {},
): Tensor {
  const { graph } = x;
  const rows = x.shape[0];
  const { found, shares } = someCount
    ? countedShares(labels)
    : { found: labels, shares: graph.scalar(1 / rows) };
  const shared = mul(x, shares);
  const chunks = Math.ceil(rows * weight.shape[0] / maxLogits);
  const chunkRows = Math.ceil(rows / chunks);
  const logs: Tensor[] = [], dx: Tensor[] = [];
  let dWeight: Tensor | undefined;
  /** What is there when the chunk before is done with. */
  let done: Tensor[] = [];
  for (let start = 0; start < rows; start += chunkRows) {
    const end = Math.min(start + chunkRows, rows);
    const label = slice(found, 0, start, end);
    const probabilities = softmax(
      gemm(after(slice(x, 0, start, end), done), weight, { transB: true }),
    );
    logs.push(log(atLeast(gatherInRows(probabilities, label), FLOOR)));
    dx.push(gemm(probabilities, weight, { plus: neg(gatherRows(weight, label)) }));
    const part = slice(shared, 0, start, end);
    dWeight = gemm(probabilities, part, { transA: true, plus: dWeight });
    done = [logs.at(-1)!, ...(derives ? [dx.at(-1)!, dWeight] : [])];
  }
  const loss = neg(reshape(reduceSum(mul(concat(logs, 0), shares), [0, 1]), []));
  return withDerivative(loss, [x, weight], (g) => [
    mul(mul(concat(dx, 0), shares), g),
    mul(scatterAddRows(dWeight!, found, neg(shared)), g),
  ]);
}

/** Labels with 0 for those that do not count, and each row's share in the mean, [rows, 1]. */
function countedShares(labels: Tensor): { found: Tensor; shares: Tensor } {
  const counts = reshape(notNegative(labels), [labels.shape[0], 1]);
  const shares = div(counts, atLeast(reduceSum(counts, [0, 1]), 1));
  return { found: integerAtLeast(labels, 0), shares };
}
