/** How many numbers training keeps of a batch until its gradients are made. */
import { MAX_LOGITS } from "./model/cross_entropy.ts";
import type { LlamaConfig } from "./model/llama_config.ts";

/** For `rows` sequences, all layers and the head, which makes its logits chunk by chunk. */
export function keptByBatch(config: LlamaConfig, rows: number, sequenceLength: number): number {
  const logits = 2 * Math.min(rows * sequenceLength * config.vocabSize, MAX_LOGITS);
  return config.layers * rows * keptByLayer(config, sequenceLength) + logits;
}

/** Of one layer, for one sequence. */
export function keptByLayer(
  { hiddenSize, intermediateSize, heads, kvHeads }: LlamaConfig,
  sequenceLength: number,
): number {
  const perRow = 9 * hiddenSize + 4 * hiddenSize * kvHeads / heads + 5 * intermediateSize;
  // Scores and weights; causal, so half of each square is never made.
  return sequenceLength * perRow + heads * sequenceLength ** 2;
}
