/** Where the data of a task are. */
import { join } from "node:path";
import { PsycheError } from "../../error.ts";
import type { HubOptions } from "../hub/hub_download.ts";
import { resolveDatasetDirectory } from "../hub/resolve_dataset.ts";
import type { EvalTask } from "./eval_task.ts";

/** The branch in which the Hub keeps every data set as parquet. */
const PARQUET_BRANCH = "refs/convert/parquet";

/**
 * `<dataDirectory>/<task>` if there is such a directory, otherwise the shared cache of Hugging Face
 * tools, filled from the Hub where it has to be.
 *
 * @throws PsycheError `DATA_UNAVAILABLE` when `dataDirectory` is none, and as `resolveDatasetDirectory`
 */
export async function evalDirectory(
  task: EvalTask,
  dataDirectory: string | undefined,
  hub: HubOptions,
): Promise<string> {
  if (dataDirectory !== undefined) {
    const directory = join(dataDirectory, task.name);
    if (await isDirectory(directory)) return directory;
    if (!await isDirectory(dataDirectory)) {
      throw new PsycheError(
        "DATA_UNAVAILABLE",
        `${dataDirectory} is no directory that can be read; name the one that holds a directory ` +
          `of data for each task, such as ${task.name}, or none to take them from the Hub.`,
      );
    }
  }
  return await resolveDatasetDirectory(task.dataset, hub, {
    revision: PARQUET_BRANCH,
    split: task.split,
    // Only single subsets: the Hub has some other splits of many, and they are small.
    subset: task.subsets.length === 1 ? task.subsets[0] : undefined,
  });
}

function isDirectory(path: string): Promise<boolean> {
  return Deno.stat(path).then((info) => info.isDirectory, () => false);
}
