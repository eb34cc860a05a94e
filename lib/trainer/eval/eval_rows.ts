/** Rows of evaluation data: parquet files as the Hub converts them, or JSON lines. */
import { join } from "node:path";
import { PsycheError } from "../../error.ts";
import { openParquet } from "../data/parquet_file.ts";
import { parquetFilesOfSplit } from "../data/parquet_split.ts";

/** One JSON-lines file is read whole. */
const MAX_JSON_BYTES = 1e9;

/**
 * Rows of one split, in the order of the data: of `<split>*.jsonl` in the directory if there are such
 * files, otherwise of its parquet files.
 *
 * @throws PsycheError `DATA_UNAVAILABLE`
 */
export async function* evalRows(
  directory: string,
  split: string,
  subset: string | undefined,
): AsyncGenerator<Record<string, unknown>> {
  const lines = await jsonFiles(directory, split);
  for (const path of lines) yield* jsonRows(path);
  if (lines.length > 0) return;
  const files = await parquetFilesOfSplit(directory, split, subset).catch((cause) => {
    throw unavailable(
      directory,
      `holds neither ${split}.jsonl nor parquet files of ${split}`,
      cause,
    );
  });
  for (const path of files) {
    const file = await openParquet(path);
    for (const group of file.groups.keys()) yield* await file.read(group, file.columns);
  }
}

async function jsonFiles(directory: string, split: string): Promise<string[]> {
  const found: string[] = [];
  try {
    for await (const { name } of Deno.readDir(directory)) {
      if (name.startsWith(split) && name.endsWith(".jsonl")) found.push(join(directory, name));
    }
  } catch (cause) {
    throw unavailable(directory, "cannot be listed", cause);
  }
  return found.sort();
}

async function* jsonRows(path: string): AsyncGenerator<Record<string, unknown>> {
  if ((await Deno.stat(path)).size > MAX_JSON_BYTES) throw unavailable(path, "is larger than 1 GB");
  const text = await Deno.readTextFile(path);
  for (const [i, line] of text.split("\n").entries()) {
    if (line.trim() === "") continue;
    let row: unknown;
    try {
      row = JSON.parse(line);
    } catch (cause) {
      throw unavailable(path, `has no JSON in line ${i + 1}`, cause);
    }
    if (typeof row !== "object" || row === null) {
      throw unavailable(path, `has no object in line ${i + 1}`);
    }
    yield row as Record<string, unknown>;
  }
}

function unavailable(path: string, what: string, cause?: unknown): PsycheError {
  return new PsycheError(
    "DATA_UNAVAILABLE",
    `${path} ${what}; check the evaluation data.`,
    { cause },
  );
}
