import assert from "node:assert/strict";
import type { Checkpoint } from "./coordinator_state.ts";
import { mergeCheckpoint } from "./merge_checkpoint.ts";

const hub = { repoId: "old", revision: null };
const gcs = { bucket: "old", prefix: null };
const newHub = { repoId: "new", revision: "r" };
const newGcs = { bucket: "new", prefix: "p" };

const STORED: Checkpoint[] = [
  { kind: "P2P", repo: hub },
  { kind: "P2PGcs", repo: gcs },
  { kind: "Hub", repo: hub },
  { kind: "Gcs", repo: gcs },
  { kind: "Dummy", repo: hub },
  { kind: "Ephemeral" },
];
/** The table of section 12: what becomes of each stored kind. */
const TABLE: [Checkpoint, (Checkpoint["kind"] | null)[]][] = [
  [{ kind: "Hub", repo: newHub }, ["P2P", "P2P", "Hub", null, null, null]],
  [{ kind: "Gcs", repo: newGcs }, ["P2PGcs", "P2PGcs", null, "Gcs", null, null]],
  [{ kind: "P2P", repo: newHub }, Array(6).fill(null)],
  [{ kind: "P2PGcs", repo: newGcs }, Array(6).fill(null)],
  [{ kind: "Dummy", repo: newHub }, Array(6).fill(null)],
  [{ kind: "Ephemeral" }, Array(6).fill(null)],
];

Deno.test("a submitted checkpoint merges as the table of the state machine says", () => {
  for (const [submitted, kinds] of TABLE) {
    STORED.forEach((stored, i) => {
      const kind = kinds[i];
      const expected = kind === null || submitted.kind === "Ephemeral"
        ? null
        : { kind, repo: submitted.repo };
      assert.deepEqual(mergeCheckpoint(stored, submitted), expected);
    });
  }
});
