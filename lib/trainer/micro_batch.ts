/** Cutting a batch for gradient accumulation (docs/protocol/training-math.md section 2). */

/** Rows `start` to `start + rows` of a batch. */
export interface Piece {
  start: number;
  rows: number;
}

/**
 * Pieces of a batch: as few as the micro batch size allows, all of one length but the last. The
 * length follows from their number: 7 rows in micro batches of 5 become 4 and 3, not 5 and 2.
 */
export function pieces(batch: number, microBatchSize: number): Piece[] {
  const length = Math.ceil(batch / Math.ceil(batch / microBatchSize));
  const result: Piece[] = [];
  for (let start = 0; start < batch; start += length) {
    result.push({ start, rows: Math.min(length, batch - start) });
  }
  return result;
}
