/** Where a client's checkpoints go once they are on its disk, so that others can load them. */
import { PsycheError } from "../error.ts";
import type { GcsRepo } from "../protocol/coordinator_state.ts";
import { SHORT_TEXT } from "../protocol/limits.ts";
import type { SubmittedCheckpoint } from "../protocol/merge_checkpoint.ts";
import {
  checkUploadBucket,
  type GcsUploadOptions,
  uploadToGcs,
} from "../trainer/gcs/gcs_upload.ts";
import {
  checkUploadRepository,
  type HubUploadOptions,
  uploadToHub,
} from "../trainer/hub/hub_upload.ts";

/** What a checkpoint is of. */
export interface CheckpointSubject {
  runId: string;
  epoch: number;
  step: number;
}

export interface CheckpointTarget {
  /** Says no before the client joins to what cannot work later. */
  check(signal: AbortSignal): Promise<void>;
  /** Makes the directory's files available to others. */
  publish(directory: string, subject: CheckpointSubject): Promise<SubmittedCheckpoint>;
}

/** A repository of the Hugging Face Hub: docs/protocol/client-lifecycle.md section 8.3. */
export function hubTarget(name: string, options: HubUploadOptions): CheckpointTarget {
  return {
    async check(signal) {
      refuseLong("--hub-repo", name);
      await checkUploadRepository(name, { ...options, signal });
    },
    async publish(directory, { step }) {
      const revision = await uploadToHub(directory, name, `step ${step}`, options);
      return { kind: "Hub", repo: { repoId: name, revision } };
    },
  };
}

/** A bucket of Google Cloud Storage: section 8.4. */
export function gcsTarget(repo: GcsRepo, options: GcsUploadOptions): CheckpointTarget {
  return {
    async check(signal) {
      refuseLong("--gcs-bucket", repo.bucket);
      refuseLong("--gcs-prefix", repo.prefix ?? "");
      await checkUploadBucket(repo, { ...options, signal });
    },
    async publish(directory, subject) {
      await uploadToGcs(directory, repo, subject, options);
      return { kind: "Gcs", repo };
    },
  };
}

/**
 * The directory itself. The chain then names a path, which clients of this machine load, as they do
 * with the model that a localnet run begins with.
 *
 * @param longest the longest name that a checkpoint can get
 */
export function localTarget(longest: string): CheckpointTarget {
  return {
    check() {
      refuseLong("the path of a checkpoint", longest);
      return Promise.resolve();
    },
    publish: (directory) =>
      Promise.resolve({ kind: "Hub", repo: { repoId: directory, revision: null } }),
  };
}

function refuseLong(what: string, value: string): void {
  const { length } = new TextEncoder().encode(value);
  if (length <= SHORT_TEXT) return;
  throw new PsycheError(
    "TEXT_TOO_LONG",
    `"${value}" (${what}) has ${length} bytes and the run's account holds ${SHORT_TEXT}; use a shorter one.`,
  );
}
