import type { Checkpoint } from "./coordinator_state.ts";

/** What members may tell the chain about their weights and be heard. */
export type SubmittedCheckpoint = Extract<Checkpoint, { kind: "Hub" | "Gcs" }>;

/**
 * What a run's checkpoint becomes when a member submits one; null when the chain takes no notice.
 * docs/protocol/coordinator-state-machine.md section 12.
 */
export function mergeCheckpoint(stored: Checkpoint, submitted: Checkpoint): Checkpoint | null {
  const peers = stored.kind === "P2P" || stored.kind === "P2PGcs";
  if (submitted.kind === "Hub" && (peers || stored.kind === "Hub")) {
    return { kind: peers ? "P2P" : "Hub", repo: submitted.repo };
  }
  if (submitted.kind === "Gcs" && (peers || stored.kind === "Gcs")) {
    return { kind: peers ? "P2PGcs" : "Gcs", repo: submitted.repo };
  }
  return null;
}
