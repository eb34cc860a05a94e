import { join } from "node:path";
import { PsycheError } from "../error.ts";
import type { EventSink } from "../events/event.ts";
import type { CoordinatorState, GcsRepo } from "../protocol/coordinator_state.ts";
import type { GcsAccess } from "../trainer/gcs/gcs_access.ts";
import type { HubOptions } from "../trainer/hub/hub_download.ts";
import { type CheckpointTarget, gcsTarget, hubTarget, localTarget } from "./checkpoint_target.ts";
import { Checkpointer, checkpointName } from "./checkpointer.ts";
import type { RunChain } from "./run_chain.ts";

/** What a client does with the weights at the end of each epoch. */
export interface CheckpointSettings {
  /** They are saved below it as `<run id>-step<step>`. */
  directory: string;
  /** BF16 halves the size and rounds. */
  dtype: "F32" | "BF16";
  /** How many of this process stay on the disk; null keeps all. */
  keepSteps: number | null;
  /** Repository of the Hub to upload to. */
  hubRepo?: string;
  /** Bucket to upload to. */
  gcs?: GcsRepo;
  /** Tell the chain the path itself, for runs that begin from a directory of this machine. */
  recordPath: boolean;
}

export interface CheckpointerParts {
  /** The run as it is before joining. */
  state: CoordinatorState;
  chain: Pick<RunChain, "read" | "checkpoint">;
  /** Wallet of the client, 32 bytes. */
  signer: Uint8Array;
  hub: HubOptions;
  gcs: GcsAccess;
  emit: EventSink;
}

/**
 * Refuses what can never work, before the client joins.
 *
 * @throws PsycheError `CHECKPOINT_SETTINGS_INVALID`, `OUTPUT_UNWRITABLE`, `TEXT_TOO_LONG`, and what the target's check
 *   throws (`HUB_...`, `GCS_...`)
 */
export async function openCheckpointer(
  settings: CheckpointSettings,
  parts: CheckpointerParts,
  signal: AbortSignal,
): Promise<Checkpointer> {
  const checkpointer = new Checkpointer({
    directory: settings.directory,
    format: { dtype: settings.dtype },
    keepSteps: settings.keepSteps,
    target: await chooseTarget(settings, parts),
    chain: parts.chain,
    signer: parts.signer,
    emit: parts.emit,
  });
  await checkpointer.check(signal);
  return checkpointer;
}

async function chooseTarget(
  { hubRepo, gcs, recordPath, directory }: CheckpointSettings,
  { state, hub, gcs: gcsAccess }: CheckpointerParts,
): Promise<CheckpointTarget | null> {
  if ([hubRepo !== undefined, gcs !== undefined, recordPath].filter(Boolean).length > 1) {
    throw invalid("they name several places for checkpoints; choose the Hub, a bucket or the path");
  }
  if (hubRepo !== undefined) {
    if (hub.offline) throw invalid("HF_HUB_OFFLINE forbids to ask the Hub; unset it to upload");
    return hubTarget(hubRepo, { fetch: hub.fetch, token: hub.token, hubUrl: hub.hubUrl });
  }
  if (gcs !== undefined) return gcsTarget(gcs, gcsAccess);
  if (!recordPath) return null;
  if (!await beginsFromDirectory(state)) {
    throw invalid(
      "the run's model is no directory of this machine, so others could not load a path; " +
        "upload to the Hub or a bucket instead",
    );
  }
  const { runId, config: { totalSteps } } = state;
  return localTarget(join(directory, checkpointName({ runId, step: totalSteps })));
}

async function beginsFromDirectory({ model: { checkpoint } }: CoordinatorState): Promise<boolean> {
  if (checkpoint.kind !== "Hub" && checkpoint.kind !== "P2P") return false;
  if (checkpoint.repo.revision !== null) return false;
  return await Deno.stat(checkpoint.repo.repoId).then((info) => info.isDirectory, () => false);
}

function invalid(reason: string): PsycheError {
  return new PsycheError(
    "CHECKPOINT_SETTINGS_INVALID",
    `The settings for checkpoints cannot be followed: ${reason}.`,
  );
}
