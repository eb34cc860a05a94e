/** Data of one round before they are needed: docs/protocol/client-lifecycle.md section 7.3. */
import type { BatchId } from "../protocol/coordinator_state.ts";
import type { Samples } from "../trainer/data/data_provider.ts";

/** Reads training sequences; see lib/trainer/data. */
export interface SequenceSource {
  read(batch: BatchId, signal?: AbortSignal): Promise<Samples>;
}

export interface ReadBatch {
  batchId: BatchId;
  samples: Samples;
}

/**
 * Begins to read the first batch at once, and each further one when the one before it is taken, so that
 * reading goes on while the caller applies results and trains.
 *
 * @returns takes the next batch, null after the last; rejects as the source does
 */
export function readAhead(
  source: SequenceSource,
  batches: readonly BatchId[],
  signal: AbortSignal,
): () => Promise<ReadBatch | null> {
  const begin = (index: number): Promise<ReadBatch | null> => {
    const batchId = batches[index];
    if (batchId === undefined) return Promise.resolve(null);
    const reading = Promise.try(() => source.read(batchId, signal))
      .then((samples) => ({ batchId, samples }));
    // Whoever takes it hears of a failure; nobody may take it any more.
    reading.catch(() => {});
    return reading;
  };
  let index = 0;
  let next = begin(0);
  return async () => {
    const taken = await next;
    next = begin(++index);
    return taken;
  };
}
