/**
 * Raw token files, wherever they are: docs/protocol/training-math.md section 6.2.
 */
import { PsycheError } from "../../error.ts";
import { concurrently } from "./concurrently.ts";
import { batchRange, type DataProvider, type Samples, type TokenFormat } from "./data_provider.ts";
import type { SequenceIndex } from "./sequence_index.ts";

/** Names that count as token files; no header is parsed for any of them. */
export const TOKEN_FILE_NAME = /\.(npy|bin|ds)$/;

/** Files that can be read at any place. */
export interface TokenFiles {
  /** Bytes of each file, in the order of the data. */
  readonly sizes: readonly number[];
  /** Exactly `length` bytes from `start`, or an error. */
  read(
    file: number,
    start: number,
    length: number,
    signal: AbortSignal,
  ): Promise<Uint8Array>;
}

/** Reads at the same time for one batch. */
const CONCURRENT_READS = 8;

/** Provider over files; sequences that are neighbours in a file are read together. */
export function tokenFileProvider(
  files: TokenFiles,
  index: SequenceIndex,
  format: TokenFormat,
): DataProvider {
  const { sequenceLength, tokenBytes } = format;
  const sequenceBytes = sequenceLength * tokenBytes;
  const shape = { sequences: index.sequences, sequenceLength };

  async function read(
    batch: Parameters<DataProvider["read"]>[0],
    signal?: AbortSignal,
  ): Promise<Samples> {
    const { first, count } = batchRange(batch, shape);
    const tokens = new Int32Array(count * sequenceLength);
    const runs = findRuns(index, first, count, sequenceBytes);
    await concurrently(runs, CONCURRENT_READS, async (run, stop) => {
      const bytes = await files.read(run.file, run.offset, run.count * sequenceBytes, stop);
      decodeTokens(bytes, tokens, run.row * sequenceLength, format);
    }, signal);
    return { tokens };
  }
  return { ...shape, read };
}

interface Run {
  /** Row of the batch where the run begins. */
  row: number;
  count: number;
  file: number;
  offset: number;
}

function findRuns(
  index: SequenceIndex,
  first: number,
  count: number,
  sequenceBytes: number,
): Run[] {
  const runs: Run[] = [];
  for (let row = 0; row < count; row++) {
    const { file, offset } = index.locate(first + row);
    const last = runs.at(-1);
    if (last?.file === file && last.offset + last.count * sequenceBytes === offset) last.count++;
    else runs.push({ row, count: 1, file, offset });
  }
  return runs;
}

function decodeTokens(
  bytes: Uint8Array,
  tokens: Int32Array,
  at: number,
  { tokenBytes, maxToken = 2 ** 31 - 1 }: TokenFormat,
): void {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  for (let offset = 0; offset < bytes.length; offset += tokenBytes) {
    const token = tokenBytes === 2 ? view.getUint16(offset, true) : view.getUint32(offset, true);
    if (token > maxToken) {
      throw new PsycheError(
        "TOKEN_OUT_OF_RANGE",
        `The data holds token ${token}, the largest allowed is ${maxToken}; check that token size and tokenizer of the data fit the model.`,
      );
    }
    tokens[at++] = token;
  }
}
