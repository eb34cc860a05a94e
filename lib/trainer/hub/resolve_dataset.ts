/** Where a data set's parquet files are: docs/protocol/training-math.md sections 6.6 and 7. */
import { PsycheError } from "../../error.ts";
import { parquetFilesOfSplit } from "../data/parquet_split.ts";
import { type HubOptions, hubSnapshot, type Selection } from "./hub_download.ts";

export interface DatasetPart {
  /** Branch, tag or commit. Default `main`. */
  revision?: string;
  /** Split that the cache must hold to be the answer without network. Default `train`. */
  split?: string;
  /** Only the files below directories of this name. */
  subset?: string;
}

/**
 * The local directory of that name, otherwise the Hub's data set of that name in the shared cache with
 * its parquet files.
 *
 * @param options absent: only a directory will do
 * @throws PsycheError `DATA_UNAVAILABLE`, and as {@linkcode hubSnapshot}
 */
export async function resolveDatasetDirectory(
  name: string,
  options: HubOptions | undefined,
  { revision = "main", split = "train", subset }: DatasetPart = {},
): Promise<string> {
  const info = await Deno.stat(name).catch(() => null);
  if (info?.isDirectory) return name;
  if (options === undefined) {
    throw new PsycheError(
      "DATA_UNAVAILABLE",
      `"${name}" is no directory here; give a directory with parquet files.`,
    );
  }
  const selection: Selection = {
    select: (files) =>
      files.filter(({ path }) =>
        path.endsWith(".parquet") && (subset === undefined || path.split("/").includes(subset))
      ),
    isComplete: (directory) =>
      parquetFilesOfSplit(directory, split, subset).then(() => true, () => false),
  };
  return await hubSnapshot({ type: "dataset", name }, revision, selection, options);
}
