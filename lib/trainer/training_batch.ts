/** Rows to learn from, and what the graph is fed for a part of them. */
import { PsycheError } from "../error.ts";
import { NO_LABEL } from "./data/data_provider.ts";
import type { Piece } from "./micro_batch.ts";
import type { BatchShape } from "./model/llama_graph.ts";
import type { BatchFeeds } from "./model_graphs.ts";
import type { TrainRequest } from "./trainer.ts";

/** The data of a {@linkcode TrainRequest}. */
export type TrainingBatch = Pick<
  TrainRequest,
  "tokens" | "batch" | "labels" | "positionIds" | "sequenceLengths"
>;

/** Positions stay exact as fp32. */
const MAX_POSITION = 2 ** 24;

interface RowFormat {
  sequenceLength: number;
  vocabSize: number;
}

/**
 * Refuses what the graph would compute nonsense from (docs/protocol/training-math.md section 6.1).
 *
 * @throws PsycheError `TOKENS_INVALID`
 */
export function checkBatch(
  { tokens, batch, labels, positionIds, sequenceLengths }: TrainingBatch,
  { sequenceLength, vocabSize }: RowFormat,
): void {
  for (const [what, data] of Object.entries({ tokens, labels, positionIds })) {
    if (data === undefined) continue;
    if (!Number.isSafeInteger(batch) || batch < 1 || data.length !== batch * sequenceLength) {
      throw invalid(
        `${data.length} ${what} are no batch of ${batch} rows of ${sequenceLength}; ` +
          "pass whole rows of the trainer's sequence length",
      );
    }
  }
  const outside = (token: number) => token < 0 || token >= vocabSize;
  refuseAny(
    tokens,
    outside,
    (token, place) =>
      `Token ${token} at position ${place} is outside the vocabulary of ${vocabSize}; ` +
      "use data made with this model's tokenizer",
  );
  refuseAny(
    labels,
    (label) => outside(label) && label !== NO_LABEL,
    (label, place) =>
      `Label ${label} at position ${place} is neither ${NO_LABEL} nor in the vocabulary of ` +
      `${vocabSize}; use data made with this model's tokenizer`,
  );
  refuseAny(
    positionIds,
    (id) => id < 0 || id >= MAX_POSITION,
    (id, place) =>
      `Position id ${id} at position ${place} is not from 0 to ${MAX_POSITION - 1}; ` +
      "correct the position_ids of the data",
  );
  if (sequenceLengths === undefined) return;
  if (sequenceLengths.length !== batch) {
    throw invalid(
      `There are sequence lengths of ${sequenceLengths.length} rows for a batch of ${batch}; ` +
        "pass a list for each row",
    );
  }
  for (const [row, lengths] of sequenceLengths.entries()) {
    const wrong = lengths.find((length) => !Number.isSafeInteger(length) || length < 0);
    const total = lengths.reduce((sum, length) => sum + length, 0);
    if (wrong === undefined && total <= sequenceLength) continue;
    throw invalid(
      `The sequence lengths of row ${row} (${
        wrong === undefined ? `${total} tokens in all` : `with ${wrong}`
      }) do not divide its ${sequenceLength} tokens; correct the sequence_lengths of the data`,
    );
  }
}

/** What the graph for this batch needs to take in beside tokens. */
export function batchKind(
  { labels, positionIds, sequenceLengths }: TrainingBatch,
): Pick<BatchShape, "labels" | "positions" | "texts"> {
  const texts = sequenceLengths !== undefined;
  return { labels: labels !== undefined, positions: positionIds !== undefined || texts, texts };
}

/** The graph's inputs, without the parameters, for some rows of a batch. */
export function batchFeeds(
  { tokens, labels, positionIds, sequenceLengths }: TrainingBatch,
  { start, rows }: Piece,
  sequenceLength: number,
): BatchFeeds {
  const cut = (data: Int32Array) =>
    data.slice(start * sequenceLength, (start + rows) * sequenceLength);
  const feeds = new Map([["tokens", cut(tokens)]]);
  if (labels !== undefined) feeds.set("labels", cut(labels));
  if (sequenceLengths !== undefined) {
    const packed = packedRows(sequenceLengths.slice(start, start + rows), sequenceLength);
    feeds.set("texts", packed.texts).set("positions", packed.positions);
  }
  if (positionIds !== undefined) feeds.set("positions", cut(positionIds));
  return feeds;
}

/** How many labels of some rows count in the loss; the first of a row is predicted by nothing. */
export function countLabels(
  { labels }: TrainingBatch,
  { start, rows }: Piece,
  sequenceLength: number,
): number {
  if (labels === undefined) return rows * (sequenceLength - 1);
  let count = 0;
  for (let i = start * sequenceLength; i < (start + rows) * sequenceLength; i++) {
    if (i % sequenceLength !== 0 && labels[i] !== NO_LABEL) count++;
  }
  return count;
}

/**
 * The number of each token's text within its row and its position in that text. What the lengths of
 * a row leave over is one more text.
 */
function packedRows(
  sequenceLengths: readonly number[][],
  sequenceLength: number,
): Record<"texts" | "positions", Int32Array<ArrayBuffer>> {
  const texts = new Int32Array(sequenceLengths.length * sequenceLength);
  const positions = new Int32Array(texts.length);
  for (const [row, lengths] of sequenceLengths.entries()) {
    let at = row * sequenceLength;
    for (const [text, length] of [...lengths, sequenceLength].entries()) {
      const end = Math.min(at + length, (row + 1) * sequenceLength);
      texts.fill(text, at, end);
      for (let position = 0; at < end; position++) positions[at++] = position;
    }
  }
  return { texts, positions };
}

function refuseAny(
  data: Int32Array | undefined,
  isWrong: (value: number) => boolean,
  message: (value: number, place: number) => string,
): void {
  const place = data?.findIndex(isWrong) ?? -1;
  if (place >= 0) throw invalid(message(data![place], place));
}

function invalid(message: string): PsycheError {
  return new PsycheError("TOKENS_INVALID", `${message}.`);
}
