/** Where the files of a run's checkpoint are on this machine, wherever the chain says they come from. */
import { PsycheError } from "../error.ts";
import type { Checkpoint } from "../protocol/coordinator_state.ts";
import { gcsName, type GcsOptions, resolveGcsModel } from "./gcs/gcs_download.ts";
import type { HubOptions } from "./hub/hub_download.ts";
import { resolveConfigDirectory, resolveModelDirectory } from "./hub/resolve_model.ts";
import { readConfigText } from "./model/model_directory.ts";

/** How the places are reached that hold checkpoints. */
export interface CheckpointSources {
  hub: HubOptions;
  gcs: GcsOptions;
}

/**
 * Directory with the model of a checkpoint, downloaded where it is missing; of one that peers share,
 * the model that it began from.
 *
 * @throws PsycheError `CHECKPOINT_NOT_SUPPORTED`, and as `resolveModelDirectory`, `resolveGcsModel`
 */
export async function resolveCheckpoint(
  checkpoint: Checkpoint,
  { hub, gcs }: CheckpointSources,
): Promise<string> {
  switch (checkpoint.kind) {
    case "Hub":
    case "P2P":
    case "Dummy":
      return await resolveModelDirectory(checkpoint.repo, hub);
    case "Gcs":
    case "P2PGcs":
      return await resolveGcsModel(checkpoint.repo, gcs);
    case "Ephemeral":
      throw new PsycheError(
        "CHECKPOINT_NOT_SUPPORTED",
        "The run's checkpoint is Ephemeral: nobody kept the weights; ask the run's owner for another.",
      );
  }
}

/**
 * The config.json of a checkpoint without its weights, or null when it cannot be told: loading the
 * model says why. Buckets are not asked.
 *
 * @throws the reason of `hub.signal` when that is aborted
 */
export async function checkpointConfig(
  checkpoint: Checkpoint,
  { hub }: Pick<CheckpointSources, "hub">,
): Promise<string | null> {
  if (checkpoint.kind !== "Hub" && checkpoint.kind !== "P2P") return null;
  try {
    return await readConfigText(await resolveConfigDirectory(checkpoint.repo, hub));
  } catch {
    hub.signal?.throwIfAborted();
    return null;
  }
}

/** A checkpoint's place as people write it. */
export function checkpointPlace(checkpoint: Exclude<Checkpoint, { kind: "Ephemeral" }>): string {
  if (checkpoint.kind === "Gcs" || checkpoint.kind === "P2PGcs") return gcsName(checkpoint.repo);
  const { repoId, revision } = checkpoint.repo;
  return revision === null ? repoId : `${repoId}@${revision}`;
}
