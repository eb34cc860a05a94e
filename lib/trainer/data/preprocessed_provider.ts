/**
 * Samples that are tokenized already, in parquet files: docs/protocol/training-math.md section 6.6.
 */
import { PsycheError } from "../../error.ts";
import { batchRange, type DataProvider, type TokenFormat } from "./data_provider.ts";
import { openParquet } from "./parquet_file.ts";
import { parquetFilesOfSplit } from "./parquet_split.ts";

/** Tokens held in memory; 2 GiB as int32. */
const MAX_TOKENS = 2 ** 29;
/** The largest token id of an int32 sample. */
const MAX_TOKEN = 2 ** 31 - 1;
const OPTIONAL = ["labels", "position_ids", "sequence_lengths"];

/**
 * Loads the `train` split of a directory. Column `inputs` holds the tokens; indices beyond the last
 * row begin again at the first.
 *
 * The loss is that of plain next-token prediction over whole sequences, so `labels` must equal
 * `inputs`, `position_ids` must count from 0 and `sequence_lengths` must be one whole sequence;
 * anything else is refused rather than trained on wrongly.
 *
 * @throws PsycheError `DATA_UNAVAILABLE` for missing or damaged files, `DATA_COLUMN_INVALID`,
 * `DATA_COLUMN_UNSUPPORTED`, `TOKEN_OUT_OF_RANGE`, `DATA_TOO_LARGE`
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
  if (rows * sequenceLength > MAX_TOKENS) {
    throw new PsycheError(
      "DATA_TOO_LARGE",
      `${directory} holds ${rows} samples of ${sequenceLength} tokens, more than the ${MAX_TOKENS} tokens that are held in memory; serve raw token files over HTTP instead.`,
    );
  }
  const tokens = new Int32Array(rows * sequenceLength);
  let row = 0;
  for (const file of files) {
    if (!file.columns.includes("inputs")) throw invalid(file.path, "there is no column inputs");
    const columns = ["inputs", ...OPTIONAL.filter((name) => file.columns.includes(name))];
    for (const group of file.groups.keys()) {
      signal?.throwIfAborted();
      for (const sample of await file.read(group, columns)) {
        const place = `row ${row} of ${file.path}`;
        const into = tokens.subarray(row * sequenceLength, ++row * sequenceLength);
        readIntegers(sample.inputs, into, place, "inputs");
        const outside = into.find((token) => token < 0 || token > maxToken);
        if (outside !== undefined) {
          throw new PsycheError(
            "TOKEN_OUT_OF_RANGE",
            `${place} holds token ${outside}, outside 0 to ${maxToken}; check that the data was made with the model's tokenizer.`,
          );
        }
        refuseOther(sample, into, place);
      }
    }
  }
  const shape = { sequences: Infinity, sequenceLength };
  return {
    ...shape,
    read: (batch, signal) =>
      Promise.try(() => {
        signal?.throwIfAborted();
        const { count } = batchRange(batch, shape);
        const result = new Int32Array(count * sequenceLength);
        for (let i = 0; i < count; i++) {
          const at = Number((batch.start + BigInt(i)) % BigInt(rows)) * sequenceLength;
          result.set(tokens.subarray(at, at + sequenceLength), i * sequenceLength);
        }
        return result;
      }),
  };
}

/** Fills `into` from a list of integers (64-bit ones come as bigint) of exactly its length. */
function readIntegers(value: unknown, into: Int32Array, place: string, column: string): void {
  const list = isList(value) ? value : [];
  if (list.length !== into.length) {
    throw invalid(place, `${column} has ${list.length} entries, not ${into.length}`);
  }
  for (let i = 0; i < into.length; i++) {
    const number = Number(list[i]);
    if (number !== (number | 0)) throw invalid(place, `${column} holds ${list[i]}`);
    into[i] = number;
  }
}

/** Refuses what the training loss cannot take into account. */
function refuseOther(sample: Record<string, unknown>, inputs: Int32Array, place: string): void {
  const { labels, position_ids, sequence_lengths: lengths } = sample;
  const read = new Int32Array(inputs.length);
  if (labels != null) {
    readIntegers(labels, read, place, "labels");
    if (read.some((label, i) => label !== inputs[i])) {
      throw unsupported(place, "labels that differ from inputs (such as -100 for no loss)");
    }
  }
  if (position_ids != null) {
    readIntegers(position_ids, read, place, "position_ids");
    if (read.some((position, i) => position !== i)) {
      throw unsupported(place, "position_ids that do not count from 0");
    }
  }
  if (lengths != null && !(isList(lengths) && Number(lengths[0]) === inputs.length)) {
    throw unsupported(place, "sequence_lengths of several sequences in one sample");
  }
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

function unsupported(place: string, what: string): PsycheError {
  return new PsycheError(
    "DATA_COLUMN_UNSUPPORTED",
    `${place} has ${what}, which this trainer does not compute; use plain pre-training samples.`,
  );
}
