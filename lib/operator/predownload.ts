/** What a client of a run would download when it starts, fetched beforehand. */
import type { CoordinatorState } from "../protocol/coordinator_state.ts";
import type { HubOptions } from "../trainer/hub/hub_download.ts";
import { resolveDatasetDirectory } from "../trainer/hub/resolve_dataset.ts";
import { type CheckpointSources, resolveCheckpoint } from "../trainer/resolve_checkpoint.ts";

/**
 * Puts the model of a run into the cache; docs/protocol/commands.md section 10.3.
 *
 * @returns the directory with the files
 * @throws PsycheError as `resolveCheckpoint`
 */
export async function predownloadModel(
  { model: { checkpoint } }: CoordinatorState,
  sources: CheckpointSources,
): Promise<string> {
  return await resolveCheckpoint(checkpoint, sources);
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
