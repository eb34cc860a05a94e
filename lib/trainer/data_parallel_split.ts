/** Cutting a batch for data parallelism (docs/protocol/training-math.md section 2). */
import type { TrainingBatch } from "./training_batch.ts";

/**
 * The rows of each rank, in order: `floor(batch / ranks)`, and one more for the first ones where that
 * leaves some over. Ranks that would get none are left out, so a batch of fewer rows gives fewer parts.
 *
 * @param batch whole rows
 */
export function splitBatch(batch: TrainingBatch, ranks: number): TrainingBatch[] {
  const chunk = Math.floor(batch.batch / ranks);
  const extra = batch.batch % ranks;
  const parts: TrainingBatch[] = [];
  for (let rank = 0, start = 0; rank < Math.min(ranks, batch.batch); rank++) {
    const rows = chunk + (rank < extra ? 1 : 0);
    parts.push(rowsOf(batch, start, rows));
    start += rows;
  }
  return parts;
}

/** Copies, because a part may cross to another thread and would take all rows along. */
function rowsOf(batch: TrainingBatch, start: number, rows: number): TrainingBatch {
  const cut = (values: Int32Array) => {
    const perRow = values.length / batch.batch;
    return values.slice(start * perRow, (start + rows) * perRow);
  };
  const { tokens, labels, positionIds, sequenceLengths } = batch;
  return {
    tokens: cut(tokens),
    batch: rows,
    labels: labels && cut(labels),
    positionIds: positionIds && cut(positionIds),
    sequenceLengths: sequenceLengths?.slice(start, start + rows),
  };
}
