/** How many numbers training keeps of a batch until its gradients are made. */
import type { LlamaConfig } from "./model/llama_config.ts";

/** Most logits of one chunk of the head, which a second array is made for. */
const CHUNK_LOGITS = 2 ** 24;

/**
 * For `rows` sequences, all layers and the head. The head makes its logits in chunks, but the runtime
 * makes all chunks before it takes the gradients of the first, so all of them are there at once.
 */
export function keptByBatch(config: LlamaConfig, rows: number, sequenceLength: number): number {
  const logits = rows * sequenceLength * config.vocabSize;
  return config.layers * rows * keptByLayer(config, sequenceLength) + logits +
    Math.min(logits, CHUNK_LOGITS);
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
