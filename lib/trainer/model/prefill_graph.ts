/** The beginning of a text through Llama at once, with the keys and values that decoding goes on with. */
import { gatherRows } from "../graph/gather.ts";
import { compile } from "../graph/passes.ts";
import { reshape } from "../graph/shape.ts";
import { Graph, type Tensor } from "../graph/tensor.ts";
import { byHead } from "./attention_shape.ts";
import { causalAttention } from "./causal_attention.ts";
import type { LlamaConfig } from "./llama_config.ts";
import { declareWeights, head, transformerLayer } from "./llama_graph.ts";
import { rotate } from "./rope.ts";

/**
 * Model with inputs `tokens` int32 [1, length], `last` int32 [1] and every parameter. Outputs `logits`
 * [1, vocabulary] of the token that follows position `last`, and per layer `key:N` and `value:N`
 * [1, kvHeads, length, headDim], the keys rotated.
 */
export function prefillModel(config: LlamaConfig, length: number): Uint8Array<ArrayBuffer> {
  const graph = new Graph();
  const weights = declareWeights(graph, config);
  const { heads, kvHeads, hiddenSize, layers } = config;
  const headDim = hiddenSize / heads;
  const tokens = graph.input("tokens", [1, length], "int32");
  const last = graph.input("last", [1], "int32");
  const inRow = (x: Tensor) => reshape(x, [1, ...x.shape]);
  const outputs: Record<string, Tensor> = {};
  let x = gatherRows(weights.get("model.embed_tokens.weight")!, reshape(tokens, [length]));
  for (let layer = 0; layer < layers; layer++) {
    x = transformerLayer(weights, config, layer, x, (q, k, v) => {
      const query = rotate(inRow(q), config, 1 / Math.sqrt(headDim));
      const key = rotate(inRow(k), config);
      const value = inRow(v);
      outputs[`key:${layer}`] = byHead(key, kvHeads);
      outputs[`value:${layer}`] = byHead(value, kvHeads);
      return reshape(causalAttention(query, key, value, config), [length, hiddenSize]);
    });
  }
  return compile(graph, { logits: head(weights, config, gatherRows(x, last)), ...outputs });
}
