/** One token through Llama, with the keys and values of the tokens before it given. */
import { add, mul } from "../graph/elementwise.ts";
import { gatherRows } from "../graph/gather.ts";
import { matmul, softmax } from "../graph/linear.ts";
import { compile } from "../graph/passes.ts";
import { concat, reshape, transposeLast } from "../graph/shape.ts";
import { Graph, type Tensor } from "../graph/tensor.ts";
import type { LlamaConfig } from "./llama_config.ts";
import { declareWeights, head, transformerLayer } from "./llama_graph.ts";
import { rotateRow } from "./rope.ts";

/**
 * Model with inputs `token` int32 [1], `cos` and `sin` [1, headDim] of its position, `mask`
 * [1, capacity + 1] to be added to scores (the last column is the token itself), per layer `keys:N` and
 * `values:N` [kvHeads, capacity, headDim], and every parameter. Outputs `logits` [1, vocabulary] and
 * per layer `key:N` and `value:N` [kvHeads, 1, headDim] of the token.
 */
export function decodeModel(config: LlamaConfig, capacity: number): Uint8Array<ArrayBuffer> {
  const graph = new Graph();
  const weights = declareWeights(graph, config);
  const { heads, kvHeads, hiddenSize, layers } = config;
  const headDim = hiddenSize / heads;
  const token = graph.input("token", [1], "int32");
  const cos = graph.input("cos", [1, headDim]);
  const sin = graph.input("sin", [1, headDim]);
  const mask = graph.input("mask", [1, capacity + 1]);
  const outputs: Record<string, Tensor> = {};
  let x = gatherRows(weights.get("model.embed_tokens.weight")!, token);
  for (let layer = 0; layer < layers; layer++) {
    const keys = graph.input(`keys:${layer}`, [kvHeads, capacity, headDim]);
    const values = graph.input(`values:${layer}`, [kvHeads, capacity, headDim]);
    x = transformerLayer(weights, config, layer, x, (q, k, v) => {
      const query = mul(
        rotateRow(reshape(q, [heads, headDim]), cos, sin),
        graph.scalar(1 / Math.sqrt(headDim)),
      );
      const key = reshape(
        rotateRow(reshape(k, [kvHeads, headDim]), cos, sin),
        [kvHeads, 1, headDim],
      );
      const value = reshape(v, [kvHeads, 1, headDim]);
      outputs[`key:${layer}`] = key;
      outputs[`value:${layer}`] = value;
      // Queries that share a key/value head are the rows of one product.
      const grouped = reshape(query, [kvHeads, heads / kvHeads, headDim]);
      const scores = matmul(grouped, transposeLast(concat([keys, key], 1)));
      const attention = softmax(add(scores, mask));
      return reshape(matmul(attention, concat([values, value], 1)), [1, hiddenSize]);
    });
  }
  return compile(graph, { logits: head(weights, config, x), ...outputs });
}
