/** Which parquet files of a directory hold a split of a data set. */
import { basename, dirname, join } from "node:path";
import { PsycheError } from "../../error.ts";

/**
 * Files of one split below `directory`, sorted by file name: those of the layout
 * `<subset>/<split>/file` if there are any, otherwise all whose name starts with the split's
 * (docs/protocol/training-math.md section 6.6).
 *
 * @throws PsycheError `DATA_UNAVAILABLE` when there are none
 */
export async function parquetFilesOfSplit(
  directory: string,
  split: string,
  subset?: string,
): Promise<string[]> {
  const all = await parquetFiles(directory, 0);
  const isOf = (path: string) =>
    basename(dirname(path)).split("-")[0].toLowerCase() === split.toLowerCase() &&
    (subset === undefined || basename(dirname(dirname(path))) === subset);
  const arranged = all.filter(isOf);
  const chosen = arranged.length > 0
    ? arranged
    : all.filter((path) => basename(path).startsWith(split));
  if (chosen.length === 0) {
    throw new PsycheError(
      "DATA_UNAVAILABLE",
      `None of the ${all.length} parquet files in ${directory} belongs to the split "${split}"${
        subset === undefined ? "" : ` of "${subset}"`
      }; name the files or their directories after the splits.`,
    );
  }
  const key = (path: string) => `${basename(path)}\0${path}`;
  return chosen.sort((a, b) => key(a) < key(b) ? -1 : 1);
}

/** Deep enough for every known layout; links may form circles. */
const MAX_DEPTH = 8;

async function parquetFiles(directory: string, depth: number): Promise<string[]> {
  const found: string[] = [];
  try {
    for await (const { name } of Deno.readDir(directory)) {
      const path = join(directory, name);
      // Files of the Hub's cache are links.
      const info = await Deno.stat(path);
      if (info.isDirectory && depth < MAX_DEPTH) found.push(...await parquetFiles(path, depth + 1));
      else if (info.isFile && name.endsWith(".parquet")) found.push(path);
    }
  } catch (cause) {
    throw new PsycheError(
      "DATA_UNAVAILABLE",
      `${directory} cannot be listed; give a directory with parquet files.`,
      { cause },
    );
  }
  return found;
}
