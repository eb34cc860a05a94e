/** Causal attention with shared key/value heads, computed in blocks of queries from plain operators. */
import { add, maximum, mul, sub } from "../graph/elementwise.ts";
import { whereEqual } from "../graph/integers.ts";
import { matmul, softmax } from "../graph/linear.ts";
import {
  concat,
  pad,
  reduceMax,
  reduceSum,
  reshape,
  slice,
  transposeLast,
} from "../graph/shape.ts";
import { type Graph, type Tensor, withDerivative } from "../graph/tensor.ts";

/** Queries a block: below, the products get too small; above, more masked scores are computed. */
export const BLOCK = 128;

/** Large enough to vanish in softmax, small enough to stay finite after adding a score. */
const MASKED = -1e30;

/** exp(-LEAST) is below half a unit in the last place of 1, for float64 too. */
const LEAST = 40;

interface Block {
  /** First key/value position after the block's last query. */
  end: number;
  q: Tensor;
  k: Tensor;
  v: Tensor;
  weights: Tensor;
  output: Tensor;
}

/**
 * Attention of queries [batch, heads, positions, headDim], already multiplied by 1/√headDim, over
 * keys and values [batch, kvHeads, positions, headDim]. Result like the queries. With `texts`, int32
 * [batch, positions], a query reads only keys with the number of its own text.
 *
 * A block of queries reads only the keys up to its own end, so that about half of the products
 * above the diagonal are never computed. Key/value heads are not repeated: the queries that share
 * one are stacked instead. The derivative is written out, block by block.
 */
export function blockedAttention(q: Tensor, k: Tensor, v: Tensor, texts?: Tensor): Tensor {
  const [batch, heads, positions, headDim] = q.shape;
  const kvHeads = k.shape[1];
  const group = heads / kvHeads;
  const blockOf = (x: Tensor, start: number, end: number) =>
    reshape(
      slice(reshape(x, [batch, kvHeads, group, positions, headDim]), 3, start, end),
      [batch, kvHeads, group * (end - start), headDim],
    );
  const blocks: Block[] = [];
  for (let start = 0; start < positions; start += BLOCK) {
    const end = Math.min(start + BLOCK, positions);
    const queries = blockOf(q, start, end);
    const keys = slice(k, 2, 0, end);
    const values = slice(v, 2, 0, end);
    const scores = matmul(queries, transposeLast(keys));
    const rows = end - start;
    const unstacked = reshape(scores, [batch, kvHeads, group, rows, end]);
    const weights = reshape(
      maskedSoftmax(add(unstacked, mask(q.graph, start, end, texts))),
      scores.shape,
    );
    const output = matmul(weights, values);
    blocks.push({ end, q: queries, k: keys, v: values, weights, output });
  }
  const join = (parts: Tensor[]) =>
    reshape(
      concat(
        parts.map((part) => reshape(part, [batch, kvHeads, group, part.shape[2] / group, headDim])),
        3,
      ),
      q.shape,
    );
  return withDerivative(join(blocks.map((block) => block.output)), [q, k, v], (g) => {
    let start = 0;
    const dq: Tensor[] = [];
    let dk: Tensor | undefined, dv: Tensor | undefined;
    for (const { end, q, k, v, weights, output } of blocks) {
      const dOutput = blockOf(g, start, end);
      const inner = reduceSum(mul(dOutput, output), [3]);
      const dScores = mul(weights, sub(matmul(dOutput, transposeLast(v)), inner));
      dq.push(matmul(dScores, k));
      // Every block reaches further than those before it.
      const plus = (before: Tensor | undefined, part: Tensor) =>
        before === undefined ? part : add(pad(before, 2, 0, end - start), part);
      dk = plus(dk, matmul(transposeLast(dScores), q));
      dv = plus(dv, matmul(transposeLast(weights), dOutput));
      start = end;
    }
    return [join(dq), dk, dv];
  });
}

/**
 * Softmax of scores of which many are masked. The exponential of a masked score is a denormal number,
 * which takes the processor a hundred times as long as another: scores are raised to `LEAST` below the
 * highest of their row, where they vanish in every sum just as well.
 */
function maskedSoftmax(scores: Tensor): Tensor {
  const highest = reduceMax(scores, [scores.shape.length - 1]);
  return softmax(maximum(scores, add(highest, scores.graph.scalar(-LEAST))));
}

/** To be added to the scores [batch, kvHeads, group, end - start, end] of a block. */
function mask(graph: Graph, start: number, end: number, texts: Tensor | undefined): Tensor {
  const causal = causalMask(graph, start, end - start);
  if (texts === undefined) return causal;
  const [batch] = texts.shape;
  const ofQueries = reshape(slice(texts, 1, start, end), [batch, 1, 1, end - start, 1]);
  const ofKeys = reshape(slice(texts, 1, 0, end), [batch, 1, 1, 1, end]);
  const shape = [batch, 1, 1, end - start, end];
  return whereEqual([ofQueries, ofKeys], causal, graph.scalar(MASKED), shape);
}

/**
 * [rows, start + rows] zeros, with MASKED where a key lies after its query. Only the triangle is
 * stored; the runtime fills in the zeros before it when it compiles the graph.
 */
function causalMask(graph: Graph, start: number, rows: number): Tensor {
  const triangle = Float64Array.from(
    { length: rows * rows },
    (_, i) => i % rows > Math.floor(i / rows) ? MASKED : 0,
  );
  return pad(graph.constant(triangle, [rows, rows]), 1, start, 0);
}
