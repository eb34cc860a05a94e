/** Flags of `train` about what becomes of the weights; docs/protocol/commands.md section 10.1. */
import type { CheckpointSettings } from "../client/open_checkpointer.ts";
import { defaulted, type Flag, type Flags, integer, text, toggle, type Values } from "./flag.ts";

const checkpointDtype: Flag<"F32" | "BF16"> = {
  summary: "numbers in checkpoints: fp32, exactly the weights, or bf16, rounded to half the size",
  placeholder: "<type>",
  fallback: "fp32",
  parse(value) {
    const type = value.toLowerCase();
    if (type === "fp32") return "F32";
    if (type === "bf16") return "BF16";
    throw new Error(`"${value}" is neither fp32 nor bf16`);
  },
};

const deleteOldSteps: Flag<boolean> = {
  ...toggle({
    summary: "remove this process's older checkpoints from the disk: true or false",
    placeholder: "<bool>",
  }),
  fallback: "true",
};

export const CHECKPOINT_FLAGS = {
  checkpointDir: text({ summary: "save each epoch's weights below it", placeholder: "<dir>" }),
  checkpointDtype,
  hubRepo: text({
    summary: "upload checkpoints to this repository of the Hugging Face Hub (token in HF_TOKEN)",
    placeholder: "<owner/name>",
  }),
  gcsBucket: text({
    summary: "upload checkpoints to this bucket of Google Cloud Storage (key file in " +
      "GOOGLE_APPLICATION_CREDENTIALS, or a token in GOOGLE_OAUTH_ACCESS_TOKEN)",
    placeholder: "<name>",
  }),
  gcsPrefix: text({ summary: "folder in the bucket", placeholder: "<path>" }),
  recordCheckpoint: toggle({
    summary:
      "tell the chain the path of each checkpoint, so that a localnet run whose model is a " +
      "directory goes on from it after a pause",
  }),
  keepSteps: defaulted(
    integer({ summary: "checkpoints of this process that stay on the disk", min: 1 }),
    "3",
  ),
  deleteOldSteps,
} satisfies Flags;

type CheckpointValues = Values<typeof CHECKPOINT_FLAGS>;

/** What is wrong with these flags together. */
export function checkpointProblems(values: CheckpointValues): string[] {
  const { checkpointDir, hubRepo, gcsBucket, gcsPrefix, recordCheckpoint } = values;
  const places = [
    hubRepo === undefined ? null : "--hub-repo",
    gcsBucket === undefined ? null : "--gcs-bucket",
    recordCheckpoint ? "--record-checkpoint" : null,
  ].filter((name) => name !== null);
  const problems: string[] = [];
  if (places.length > 1) problems.push(`${places.join(" and ")} exclude each other`);
  if (places.length > 0 && checkpointDir === undefined) {
    problems.push(`${places[0]} needs --checkpoint-dir, where checkpoints are written first`);
  }
  if (gcsPrefix !== undefined && gcsBucket === undefined) {
    problems.push("--gcs-prefix needs --gcs-bucket");
  }
  return problems;
}

/** The settings that the flags mean; undefined when no checkpoint is wanted. */
export function checkpointSettings(values: CheckpointValues): CheckpointSettings | undefined {
  const { checkpointDir, gcsBucket, gcsPrefix } = values;
  if (checkpointDir === undefined) return undefined;
  return {
    directory: checkpointDir,
    dtype: values.checkpointDtype,
    keepSteps: values.deleteOldSteps ? values.keepSteps : null,
    hubRepo: values.hubRepo,
    gcs: gcsBucket === undefined ? undefined : { bucket: gcsBucket, prefix: gcsPrefix ?? null },
    recordPath: values.recordCheckpoint,
  };
}
