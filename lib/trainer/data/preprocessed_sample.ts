/** One tokenized sample of a data set: docs/protocol/training-math.md section 6.6. */
import { PsycheError } from "../../error.ts";
import { NO_LABEL } from "./data_provider.ts";
import type { SampleTable } from "./sample_table.ts";

/**
 * Checks one row of a parquet file and puts it into the table.
 *
 * @param place of the row, for errors
 * @throws PsycheError `DATA_COLUMN_INVALID`, `TOKEN_OUT_OF_RANGE`
 */
export function readSample(
  sample: Record<string, unknown>,
  table: SampleTable,
  row: number,
  maxToken: number,
  place: string,
): void {
  const { labels, position_ids: positions, sequence_lengths: lengths } = sample;
  const inputs = integers(sample.inputs, table.sequenceLength, place, "inputs");
  checkTokens(inputs, maxToken, place, "token");
  table.setTokens(row, inputs);
  if (labels != null) {
    const expected = integers(labels, inputs.length, place, "labels");
    checkTokens(expected.filter((label) => label !== NO_LABEL), maxToken, place, "label");
    table.setLabels(row, expected);
  }
  if (positions != null) {
    const read = integers(positions, inputs.length, place, "position_ids");
    if (read.some((position) => position < 0)) {
      throw invalidSample(place, "position_ids are negative");
    }
    table.setPositions(row, read);
  }
  if (lengths != null) {
    if (!isList(lengths)) throw invalidSample(place, "sequence_lengths is no list");
    const read = [...integers(lengths, lengths.length, place, "sequence_lengths")];
    const rest = inputs.length - read.reduce((a, b) => a + b, 0);
    if (rest < 0 || read.some((length) => length < 1)) {
      throw invalidSample(
        place,
        `sequence_lengths are not positive with a sum of at most ${inputs.length}`,
      );
    }
    table.setLengths(row, rest > 0 ? [...read, rest] : read);
  }
}

/** A list of integers (64-bit ones come as bigint) of exactly `length`. */
function integers(value: unknown, length: number, place: string, column: string): Int32Array {
  const list = isList(value) ? value : [];
  if (list.length !== length) {
    throw invalidSample(place, `${column} has ${list.length} entries, not ${length}`);
  }
  return Int32Array.from(list, (entry) => {
    const number = Number(entry);
    if (number !== (number | 0)) throw invalidSample(place, `${column} holds ${entry}`);
    return number;
  });
}

function checkTokens(tokens: Int32Array, maxToken: number, place: string, what: string): void {
  const outside = tokens.find((token) => token < 0 || token > maxToken);
  if (outside === undefined) return;
  throw new PsycheError(
    "TOKEN_OUT_OF_RANGE",
    `${place} holds ${what} ${outside}, outside 0 to ${maxToken}; check that the data was made with the model's tokenizer.`,
  );
}

function isList(value: unknown): value is ArrayLike<unknown> {
  return Array.isArray(value) || (ArrayBuffer.isView(value) && !(value instanceof DataView));
}

/** The error for samples of a form that cannot be used. */
export function invalidSample(place: string, reason: string): PsycheError {
  return new PsycheError(
    "DATA_COLUMN_INVALID",
    `The samples of ${place} cannot be used: ${reason}; export them for the run's max_seq_len.`,
  );
}
