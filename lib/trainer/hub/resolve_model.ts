/** Where a run's model files are: docs/protocol/client-lifecycle.md section 4. */
import type { HubRepo } from "../../protocol/coordinator_state.ts";
import { readConfigText } from "../model/model_directory.ts";
import { selectModelFiles } from "../model/select_model_files.ts";
import { weightFiles } from "../model/weight_files.ts";
import { type HubOptions, hubSnapshot, type Selection } from "./hub_download.ts";

/**
 * Directory with config.json, the weights and perhaps tokenizer.json of a model: the local directory
 * of that name when no revision is asked for, otherwise the shared cache of Hugging Face tools,
 * filled from the Hub where it has to be.
 *
 * @throws PsycheError as {@linkcode hubSnapshot}
 */
export function resolveModelDirectory(repo: HubRepo, options: HubOptions): Promise<string> {
  return resolveDirectory(repo, MODEL, options);
}

/**
 * The same for config.json alone, without the weights.
 *
 * @throws PsycheError as {@linkcode hubSnapshot}
 */
export function resolveConfigDirectory(repo: HubRepo, options: HubOptions): Promise<string> {
  return resolveDirectory(repo, CONFIG, options);
}

async function resolveDirectory(
  { repoId, revision }: HubRepo,
  selection: Selection,
  options: HubOptions,
): Promise<string> {
  if (revision === null) {
    const info = await Deno.stat(repoId).catch(() => null);
    if (info?.isDirectory) return repoId;
  }
  return await hubSnapshot({ type: "model", name: repoId }, revision ?? "main", selection, options);
}

const MODEL: Selection = {
  select: selectModelFiles,
  async isComplete(directory) {
    try {
      await readConfigText(directory);
      await weightFiles(directory);
      return true;
    } catch {
      return false;
    }
  },
};

const CONFIG: Selection = {
  select: (files) => files.filter(({ path }) => path === "config.json"),
  isComplete: (directory) => readConfigText(directory).then(() => true, () => false),
};
