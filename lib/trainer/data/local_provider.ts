/**
 * Token files of a local directory: docs/protocol/training-math.md section 6.2. Not for clients of a
 * run (the data would not be the same everywhere), but for standalone training and evaluation.
 */
import { PsycheError } from "../../error.ts";
import type { Shuffle } from "../../protocol/coordinator_state.ts";
import type { DataProvider, TokenFormat } from "./data_provider.ts";
import { sequenceIndex } from "./sequence_index.ts";
import { TOKEN_FILE_NAME, tokenFileProvider } from "./token_file_provider.ts";

/**
 * Opens one token file, or all of a directory **sorted by name** (code unit order), so that every
 * machine sees the same data.
 *
 * @throws PsycheError `DATA_UNAVAILABLE` when nothing usable is there
 */
export async function localProvider(
  path: string,
  format: TokenFormat,
  shuffle: Shuffle = { kind: "DontShuffle" },
): Promise<DataProvider> {
  const paths = await listTokenFiles(path);
  const sizes = await Promise.all(paths.map(async (file) => (await Deno.stat(file)).size));
  const sequenceBytes = format.sequenceLength * format.tokenBytes;
  const index = sequenceIndex(sizes, sequenceBytes, sequenceBytes, shuffle);
  const read = (file: number, start: number, length: number, signal: AbortSignal) =>
    readRange(paths[file], start, length, signal);
  return tokenFileProvider({ sizes, read }, index, format);
}

async function listTokenFiles(path: string): Promise<string[]> {
  try {
    if ((await Deno.stat(path)).isFile) return [path];
    const names: string[] = [];
    for await (const entry of Deno.readDir(path)) {
      if (!entry.isDirectory && TOKEN_FILE_NAME.test(entry.name)) names.push(entry.name);
    }
    return names.sort().map((name) => `${path}/${name}`);
  } catch (cause) {
    throw unavailable(path, "cannot be listed", cause);
  }
}

async function readRange(
  path: string,
  start: number,
  length: number,
  signal: AbortSignal,
): Promise<Uint8Array> {
  const bytes = new Uint8Array(length);
  try {
    using file = await Deno.open(path);
    await file.seek(start, Deno.SeekMode.Start);
    for (let at = 0; at < length;) {
      signal.throwIfAborted();
      const read = await file.read(bytes.subarray(at));
      if (read === null) throw new Error("The file became shorter.");
      at += read;
    }
  } catch (cause) {
    signal.throwIfAborted();
    throw unavailable(path, `gives no ${length} bytes at ${start}`, cause);
  }
  return bytes;
}

function unavailable(path: string, what: string, cause: unknown): PsycheError {
  return new PsycheError(
    "DATA_UNAVAILABLE",
    `${path} ${what}; check that the data is there and readable.`,
    { cause },
  );
}
