/** What a client of a run would download when it starts, fetched beforehand. */
import { PsycheError } from "../error.ts";
import type { CoordinatorState } from "../protocol/coordinator_state.ts";
import type { HubOptions } from "../trainer/hub/hub_download.ts";
import { resolveDatasetDirectory } from "../trainer/hub/resolve_dataset.ts";
import { resolveModelDirectory } from "../trainer/hub/resolve_model.ts";

/**
 * Puts the model of a run into the cache; docs/protocol/commands.md section 10.3.
 *
 * @returns the directory with the files
 * @throws PsycheError `CHECKPOINT_NOT_SUPPORTED`, and as `resolveModelDirectory`
 */
export async function predownloadModel(
  { runId, model: { checkpoint } }: CoordinatorState,
  hub: HubOptions,
): Promise<string> {
  switch (checkpoint.kind) {
    case "Hub":
    case "P2P":
    case "Dummy":
      return await resolveModelDirectory(checkpoint.repo, hub);
    default:
      throw new PsycheError(
        "CHECKPOINT_NOT_SUPPORTED",
        `Run "${runId}" has a ${checkpoint.kind} checkpoint, which cannot be downloaded beforehand; ask the run's owner for a Hub one.`,
      );
  }
}

/**
 * Puts the data of a run into the cache, if they are a Hugging Face data set.
 *
 * @returns the directory with the files; null for data that are read as training goes on
 */
export async function predownloadData(
  { model: { dataLocation } }: CoordinatorState,
  hub: HubOptions,
): Promise<string | null> {
  if (dataLocation.kind !== "Preprocessed") return null;
  return await resolveDatasetDirectory(dataLocation.path, hub);
}
