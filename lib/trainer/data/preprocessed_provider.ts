/**
 * Samples that are tokenized already, in parquet files: docs/protocol/training-math.md section 6.6.
 */
import { PsycheError } from "../../error.ts";
import { batchRange, type DataProvider, NO_LABEL, type TokenFormat } from "./data_provider.ts";
import { openParquet } from "./parquet_file.ts";
import { parquetFilesOfSplit } from "./parquet_split.ts";
import { SampleTable } from "./sample_table.ts";

/** Numbers held in memory; 2 GiB as int32. */
const MAX_NUMBERS = 2 ** 29;
/** The largest token id of an int32 sample. */
const MAX_TOKEN = 2 ** 31 - 1;
const OPTIONAL = ["labels", "position_ids", "sequence_lengths"];

/**
 * Loads the `train` split of a directory. Column `inputs` holds the tokens; `labels` (-100 where the
 * loss does not count), `position_ids` and `sequence_lengths` (texts packed in one sample) are taken
 * where they are there. Indices beyond the last row begin again at the first.
 *
 * What says no more than `inputs` does is left out of the batches, so that plain data trains as plain
 * data. Lengths that do not fill a sample are completed by one more text for the rest.
 *
 * @throws PsycheError `DATA_UNAVAILABLE` for missing or damaged files, `DATA_COLUMN_INVALID`,
 * `TOKEN_OUT_OF_RANGE` for inputs or labels above `maxToken`, `DATA_TOO_LARGE`
 */
export async function preprocessedProvider(
  directory: string,
  { sequenceLength, maxToken = MAX_TOKEN }: Omit<TokenFormat, "tokenBytes">,
  signal?: AbortSignal,
): Promise<DataProvider> {
  const paths = await parquetFilesOfSplit(directory, "train");
  const files = await Promise.all(paths.map(openParquet));
  const rows = files.reduce((sum, { groups }) => sum + groups.reduce((a, b) => a + b, 0), 0);
  if (rows === 0) {
    throw new PsycheError(
      "DATA_UNAVAILABLE",
      `${paths[0]} holds no rows; export the data set again.`,
    );
  }
  const optional = OPTIONAL.filter((name) => files.some(({ columns }) => columns.includes(name)));
  if (rows * sequenceLength * (1 + optional.length) > MAX_NUMBERS) {
    throw new PsycheError(
      "DATA_TOO_LARGE",
      `${directory} holds ${rows} samples of ${sequenceLength} tokens, more than the ${MAX_NUMBERS} numbers that are held in memory; serve raw token files over HTTP instead.`,
    );
  }
  const table = new SampleTable(rows, sequenceLength);
  let row = 0;
  for (const file of files) {
    if (!file.columns.includes("inputs")) throw invalid(file.path, "there is no column inputs");
    const columns = ["inputs", ...OPTIONAL.filter((name) => file.columns.includes(name))];
    for (const group of file.groups.keys()) {
      signal?.throwIfAborted();
      for (const sample of await file.read(group, columns)) {
        readSample(sample, table, row, maxToken, `row ${row} of ${file.path}`);
        row++;
      }
    }
  }
  const shape = { sequences: Infinity, sequenceLength };
  return {
    ...shape,
    read: (batch, signal) =>
      Promise.try(() => {
        signal?.throwIfAborted();
        return table.batch(batch.start, batchRange(batch, shape).count);
      }),
  };
}

/** Checks one row of a file and puts it into the table. */
function readSample(
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
    if (read.some((position) => position < 0)) throw invalid(place, "position_ids are negative");
    table.setPositions(row, read);
  }
  if (lengths != null) {
    if (!isList(lengths)) throw invalid(place, "sequence_lengths is no list");
    const read = [...integers(lengths, lengths.length, place, "sequence_lengths")];
    const rest = inputs.length - read.reduce((a, b) => a + b, 0);
    if (rest < 0 || read.some((length) => length < 1)) {
      throw invalid(
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
    throw invalid(place, `${column} has ${list.length} entries, not ${length}`);
  }
  return Int32Array.from(list, (entry) => {
    const number = Number(entry);
    if (number !== (number | 0)) throw invalid(place, `${column} holds ${entry}`);
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

function invalid(place: string, reason: string): PsycheError {
  return new PsycheError(
    "DATA_COLUMN_INVALID",
    `The samples of ${place} cannot be used: ${reason}; export them for the run's max_seq_len.`,
  );
}
