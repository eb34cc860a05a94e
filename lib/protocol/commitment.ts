/** What clients sign; docs/protocol/deterministic-selection.md section 11. */
import type { BatchId } from "./coordinator_state.ts";
import { sha256 } from "./sha256.ts";

/** A hash with the ed25519 signature over its 32 bytes, made with the sender's peer-to-peer key. */
export interface Commitment {
  /** 32 bytes. */
  dataHash: Uint8Array;
  /** 64 bytes. */
  signature: Uint8Array;
}

/** Bytes of a commitment on the wire: hash, then signature. */
export const COMMITMENT_SIZE = 96;

/**
 * Data hash of a training result: step and interval big-endian, then the index and value bytes of each
 * parameter exactly as they are sent. Trainer nonce and shapes are not covered.
 */
export function trainingResultHash(result: {
  step: number;
  batchId: BatchId;
  parameters: { indices: Uint8Array; values: Uint8Array }[];
}): Uint8Array {
  const head = new Uint8Array(20);
  const view = new DataView(head.buffer);
  view.setUint32(0, result.step);
  view.setBigUint64(4, result.batchId.start);
  view.setBigUint64(12, result.batchId.end);
  return sha256(head, ...result.parameters.flatMap(({ indices, values }) => [indices, values]));
}

/** Data hash of a finished (or warmup ready) message over its 32-byte Merkle root. */
export function finishedHash(root: Uint8Array): Uint8Array {
  return sha256(root);
}
