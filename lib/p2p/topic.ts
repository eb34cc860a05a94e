/** The gossip topic of a run. */

import { createHash } from "node:crypto";

/** SHA-256("psyche gossip", run id), 32 bytes. docs/protocol/client-lifecycle.md section 5.2. */
export function topicOfRun(runId: string): Uint8Array {
  return new Uint8Array(
    createHash("sha256").update("psyche gossip", "utf8").update(runId, "utf8").digest(),
  );
}
