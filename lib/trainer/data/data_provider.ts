/**
 * Where training data comes from: docs/protocol/training-math.md section 6.
 */
import { PsycheError } from "../../error.ts";
import type { BatchId } from "../../protocol/coordinator_state.ts";

/** Samples of one batch; all arrays are row-major `[batch size, sequenceLength]`, int32. */
export interface Samples {
  tokens: Int32Array<ArrayBuffer>;
  /** Token expected at each place, -100 where it does not count; absent when `tokens` says it all. */
  labels?: Int32Array<ArrayBuffer>;
  /** Position of each token within its text; absent when every row counts from 0. */
  positionIds?: Int32Array<ArrayBuffer>;
  /** Lengths of the texts packed in each row, their sum is `sequenceLength`; absent for one a row. */
  sequenceLengths?: number[][];
}

/** Marks a place of `labels` that does not count. */
export const NO_LABEL = -100;

export interface DataProvider {
  /** Sequences there are; `Infinity` when they are made up or begin again after the last. */
  readonly sequences: number;
  /** Tokens of one sequence. */
  readonly sequenceLength: number;
  /**
   * The sequences `batch.start..batch.end`, both included, in order.
   *
   * @throws PsycheError `DATA_BATCH_INVALID` for an interval that is empty, too large or outside the
   * data, `DATA_UNAVAILABLE` when the source fails, `TOKEN_OUT_OF_RANGE` for a token above the limit
   * the provider was made with; the signal's reason when aborted
   */
  read(batch: BatchId, signal?: AbortSignal): Promise<Samples>;
}

/** What every provider of raw tokens needs to know. */
export interface TokenFormat {
  sequenceLength: number;
  /** Bytes of one little-endian token. */
  tokenBytes: 2 | 4;
  /** Largest id allowed, normally vocabulary size minus one. Default: the largest int32. */
  maxToken?: number;
}

/** Tokens of one read; 1 GiB as int32. */
const MAX_BATCH_TOKENS = 2 ** 28;

/**
 * First index and number of sequences of a batch, checked against the provider.
 *
 * @throws PsycheError `DATA_BATCH_INVALID`
 */
export function batchRange(
  { start, end }: BatchId,
  { sequences, sequenceLength }: Pick<DataProvider, "sequences" | "sequenceLength">,
): { first: number; count: number } {
  const count = end - start + 1n;
  if (start < 0n || count < 1n || count > BigInt(Math.floor(MAX_BATCH_TOKENS / sequenceLength))) {
    throw new PsycheError(
      "DATA_BATCH_INVALID",
      `Batch ${start}..${end} of sequences of ${sequenceLength} tokens is empty or too large; check the batch size of the run.`,
    );
  }
  if (end >= sequences) {
    throw new PsycheError(
      "DATA_BATCH_INVALID",
      `Batch ${start}..${end} lies outside the ${sequences} sequences of the data; the run needs more data or fewer steps.`,
    );
  }
  return { first: Number(start), count: Number(count) };
}
