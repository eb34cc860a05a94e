/** Causal attention with shared key/value heads by one operator of the runtime's CPU provider. */
import { mul, sub } from "../graph/elementwise.ts";
import { matmul } from "../graph/linear.ts";
import { reduceSum, reshape, transpose, transposeLast } from "../graph/shape.ts";
import { type Tensor, withDerivative } from "../graph/tensor.ts";
import { byHead, byPosition, columnsByPosition, type Heads } from "./attention_shape.ts";

/** Whether the operator takes heads of this size. */
export function fusesHeads(headDim: number): boolean {
  return headDim % 8 === 0;
}

/**
 * Attention of queries [batch, positions, heads * headDim], already multiplied by 1/√headDim, over
 * keys and values [batch, positions, kvHeads * headDim]. Result like the queries.
 *
 * The operator gives the softmax of its scores (with zeros above the diagonal) and the keys and values
 * by head too, which is all that the derivative needs. It has to give the softmax even where nothing
 * is derived: its way without it takes twice as long for short rows.
 */
export function fusedAttention(q: Tensor, k: Tensor, v: Tensor, { heads, kvHeads }: Heads): Tensor {
  const { graph } = q;
  const [batch, positions] = q.shape;
  const headDim = q.shape[2] / heads;
  const last = graph.constant(Array(batch).fill(positions - 1), [batch], "int32");
  const length = graph.constant([positions], [1], "int32");
  const ofKeys = [batch, kvHeads, positions, headDim];
  // Queries that share a key/value head are the rows of one matrix.
  const grouped = (x: Tensor) =>
    reshape(x, [batch, kvHeads, heads / kvHeads * positions, x.shape[3]]);
  const [y, keys, values, softmax] = graph.nodeWithOutputs(
    "GroupQueryAttention",
    [q, k, v, undefined, undefined, last, length],
    [q.shape, ofKeys, ofKeys, [batch, heads, positions, positions]],
    {
      domain: "com.microsoft",
      attributes: {
        num_heads: { int: heads },
        kv_num_heads: { int: kvHeads },
        scale: { float: 1 },
        qk_output: { int: 2 },
      },
    },
  );
  return withDerivative(y, [q, k, v], (g) => {
    const weights = grouped(softmax);
    const queries = grouped(byHead(q, heads));
    const dOutput = grouped(byHead(g, heads));
    const along = reshape(mul(g, y), [batch, positions, heads, headDim]);
    const inner = grouped(transpose(reduceSum(along, [3]), [0, 2, 1, 3]));
    const dScores = mul(weights, sub(matmul(dOutput, transposeLast(values)), inner));
    const dq = reshape(matmul(dScores, keys), [batch, heads, positions, headDim]);
    // With the short side first these two products are faster, and turning them costs nothing more.
    const dk = matmul(transposeLast(queries), dScores);
    const dv = matmul(transposeLast(dOutput), weights);
    return [byPosition(dq), columnsByPosition(dk), columnsByPosition(dv)];
  });
}
