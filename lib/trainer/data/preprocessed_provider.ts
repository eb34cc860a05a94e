/**
 * Samples that are tokenized already, in parquet files: docs/protocol/training-math.md section 6.6.
 */
import { PsycheError } from "../../error.ts";
import { batchRange, type DataProvider, type TokenFormat } from "./data_provider.ts";
import { openParquet } from "./parquet_file.ts";
import { parquetFilesOfSplit } from "./parquet_split.ts";
import { invalidSample, readSample } from "./preprocessed_sample.ts";
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
    if (!file.columns.includes("inputs")) {
      throw invalidSample(file.path, "there is no column inputs");
    }
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
