/** The Llama model as graphs: one for training, one for the loss alone, one for given continuations. */
import { add } from "../graph/elementwise.ts";
import { gradients } from "../graph/autodiff.ts";
import { gatherInRows, gatherRows } from "../graph/gather.ts";
import { gemm } from "../graph/linear.ts";
import { compile } from "../graph/passes.ts";
import { reshape, slice } from "../graph/shape.ts";
import { Graph, type GraphTarget, type Tensor } from "../graph/tensor.ts";
import { causalAttention } from "./causal_attention.ts";
import { crossEntropyHead } from "./cross_entropy.ts";
import { rmsNorm, swiGlu } from "./layers.ts";
import { type LlamaConfig, parameterShapes } from "./llama_config.ts";
import { rotate } from "./rope.ts";

/** What a graph is compiled for: the size of a batch and what it carries beside tokens. */
export interface BatchShape {
  batch: number;
  sequenceLength: number;
  /** Input `labels` int32 [batch, sequenceLength], negative where no loss is taken. */
  labels?: boolean;
  /** Input `positions` int32 [batch, sequenceLength]. */
  positions?: boolean;
  /** Input `texts` int32 [batch, sequenceLength]: equal where tokens belong to the same text. */
  texts?: boolean;
}

export type Weights = ReadonlyMap<string, Tensor>;

/** What graphs are built for unless told otherwise; other devices need `fused: false`. */
const CPU: GraphTarget = { fused: true };

/** Name of the output that holds a parameter's gradient. */
export function gradientName(parameter: string): string {
  return `gradient:${parameter}`;
}

/**
 * Model with inputs `tokens` int32 [batch, sequenceLength], those that {@linkcode BatchShape} asks
 * for beside them and every parameter by name, outputs `loss`
 * (scalar) and one gradient per parameter ({@linkcode gradientName}).
 */
export function trainingModel(
  config: LlamaConfig,
  shape: BatchShape,
  target: GraphTarget = CPU,
): Uint8Array<ArrayBuffer> {
  const { graph, outputs } = trainingGraph(config, shape, target);
  return compile(graph, outputs);
}

/** {@linkcode trainingModel} before it is serialised. */
export function trainingGraph(
  config: LlamaConfig,
  shape: BatchShape,
  target: GraphTarget = CPU,
): { graph: Graph; outputs: Record<string, Tensor> } {
  const graph = new Graph(target);
  const weights = declareWeights(graph, config);
  const loss = nextTokenLoss(graph, weights, config, shape, true);
  const found = gradients(loss, [...weights.values()]);
  const named = [...weights.keys()].map((name, i) => [gradientName(name), found[i]]);
  return { graph, outputs: { loss, ...Object.fromEntries(named) } };
}

/** The inputs of {@linkcode trainingModel} with `loss` as the only output. */
export function lossModel(
  config: LlamaConfig,
  shape: BatchShape,
  target: GraphTarget = CPU,
): Uint8Array<ArrayBuffer> {
  const graph = new Graph(target);
  const loss = nextTokenLoss(graph, declareWeights(graph, config), config, shape, false);
  return compile(graph, { loss });
}

/**
 * Model with inputs `tokens` int32 [1, sequenceLength], `rows` int32 [scored], `labels` int32 [scored]
 * and every parameter; output `logProbabilities` [scored, 1] of each label as the token that follows
 * its row's position.
 */
export function scoreModel(
  config: LlamaConfig,
  sequenceLength: number,
  scored: number,
): Uint8Array<ArrayBuffer> {
  const graph = new Graph();
  const weights = declareWeights(graph, config);
  const tokens = graph.input("tokens", [1, sequenceLength], "int32");
  const rows = graph.input("rows", [scored], "int32");
  const labels = graph.input("labels", [scored], "int32");
  const logits = head(weights, config, gatherRows(hiddenStates(weights, config, tokens), rows));
  // Not the logarithm of a softmax: tiny probabilities have to keep their order.
  const normal = graph.node("LogSoftmax", [logits], logits.shape, {
    attributes: { axis: { int: 1 } },
  });
  return compile(graph, { logProbabilities: gatherInRows(normal, labels) });
}

/** Every parameter as a graph input of its name. */
export function declareWeights(graph: Graph, config: LlamaConfig): Weights {
  return new Map(
    parameterShapes(config).map(({ name, shape }) => [name, graph.input(name, shape)]),
  );
}

function nextTokenLoss(
  graph: Graph,
  weights: Weights,
  config: LlamaConfig,
  { batch, sequenceLength, ...has }: BatchShape,
  derives: boolean,
): Tensor {
  const input = (name: string) => graph.input(name, [batch, sequenceLength], "int32");
  const tokens = input("tokens");
  const predicted = sequenceLength - 1;
  const hidden = hiddenStates(weights, config, tokens, {
    positions: has.positions ? input("positions") : undefined,
    texts: has.texts ? input("texts") : undefined,
  });
  const { hiddenSize } = config;
  // The last position predicts nothing and the first token is predicted by nothing.
  const used = slice(
    reshape(hidden, [batch, sequenceLength, hiddenSize]),
    1,
    0,
    predicted,
  );
  const expected = slice(has.labels ? input("labels") : tokens, 1, 1, sequenceLength);
  return crossEntropyHead(
    rmsNorm(
      reshape(used, [batch * predicted, hiddenSize]),
      weights.get("model.norm.weight")!,
      config.normEpsilon,
    ),
    weights.get("lm_head.weight")!,
    reshape(expected, [batch * predicted]),
    { someCount: has.labels, derives },
  );
}

/** Logits [rows, vocabulary] of a residual stream. */
export function head(weights: Weights, config: LlamaConfig, hidden: Tensor): Tensor {
  const normal = rmsNorm(hidden, weights.get("model.norm.weight")!, config.normEpsilon);
  return gemm(normal, weights.get("lm_head.weight")!, { transB: true });
}

/** Residual stream after the last layer, before the final norm: [batch * sequenceLength, hidden]. */
function hiddenStates(
  weights: Weights,
  config: LlamaConfig,
  tokens: Tensor,
  given: { positions?: Tensor; texts?: Tensor } = {},
): Tensor {
  const [batch, positions] = tokens.shape;
  const headDim = config.hiddenSize / config.heads;
  const inRows = (x: Tensor) => reshape(x, [batch, positions, x.shape[1]]);
  const ids = reshape(tokens, [batch * positions]);
  let x = gatherRows(weights.get("model.embed_tokens.weight")!, ids);
  for (let layer = 0; layer < config.layers; layer++) {
    x = transformerLayer(weights, config, layer, x, (q, k, v) => {
      const attended = causalAttention(
        rotate(inRows(q), config, 1 / Math.sqrt(headDim), given.positions),
        rotate(inRows(k), config, 1, given.positions),
        inRows(v),
        config,
        given.texts,
      );
      return reshape(attended, x.shape);
    });
  }
  return x;
}

/**
 * One layer on the residual stream `x` [rows, hidden]. `attend` gets the projected queries
 * [rows, hidden], keys and values [rows, kvHeads * headDim] and returns [rows, hidden].
 */
export function transformerLayer(
  weights: Weights,
  config: LlamaConfig,
  layer: number,
  x: Tensor,
  attend: (q: Tensor, k: Tensor, v: Tensor) => Tensor,
): Tensor {
  const weight = (name: string) => weights.get(`model.layers.${layer}.${name}.weight`)!;
  const project = (x: Tensor, name: string) => gemm(x, weight(name), { transB: true });
  const a = rmsNorm(x, weight("input_layernorm"), config.normEpsilon);
  const merged = attend(
    project(a, "self_attn.q_proj"),
    project(a, "self_attn.k_proj"),
    project(a, "self_attn.v_proj"),
  );
  const attended = add(x, project(merged, "self_attn.o_proj"));

  const m = rmsNorm(attended, weight("post_attention_layernorm"), config.normEpsilon);
  const gated = swiGlu(project(m, "mlp.gate_proj"), project(m, "mlp.up_proj"));
  return add(attended, project(gated, "mlp.down_proj"));
}
