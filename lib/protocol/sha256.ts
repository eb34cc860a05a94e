import { createHash } from "node:crypto";

/** SHA-256 (32 bytes) of the concatenation of `parts`; docs/protocol/deterministic-selection.md section 1. */
export function sha256(...parts: Uint8Array[]): Uint8Array {
  const hash = createHash("sha256");
  for (const part of parts) hash.update(part);
  return new Uint8Array(hash.digest());
}
