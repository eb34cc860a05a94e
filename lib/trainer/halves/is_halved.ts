/**
 * Which micro batches are computed in two halves. Two threads then take one each and wait for each other
 * once, not at every operator; one thread takes them one after the other. Only what a batch is made of
 * decides, because the halves' sum has other bits than the whole.
 */
import { keptByBatch } from "../activations.ts";
import type { Piece } from "../micro_batch.ts";
import { type LlamaConfig, parameterCount } from "../model/llama_config.ts";
import type { BatchShape } from "../model/llama_graph.ts";

/** The second gradients may take a quarter of what the activations do. */
const LEAST_ACTIVATIONS = 4;

/** An even number of rows, beside which the model is small. */
export function isHalved(config: LlamaConfig, { batch, sequenceLength }: BatchShape): boolean {
  return batch % 2 === 0 &&
    keptByBatch(config, batch, sequenceLength) >= LEAST_ACTIVATIONS * parameterCount(config);
}

/** The halves of an even number of rows. */
export function halvesOf({ start, rows }: Piece): [Piece, Piece] {
  const half = rows / 2;
  return [{ start, rows: half }, { start: start + half, rows: half }];
}
