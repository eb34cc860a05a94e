import { sha256 } from "./sha256.ts";

/**
 * Seed (u64) that an instruction executed at `unixTimestamp` (i64 seconds) in `slot` gives to a round
 * it starts; docs/protocol/coordinator-state-machine.md section 3.
 */
export function roundSeed(unixTimestamp: bigint, slot: bigint): bigint {
  const preimage = new Uint8Array(16);
  const view = new DataView(preimage.buffer);
  view.setBigInt64(0, unixTimestamp, true);
  view.setBigUint64(8, slot, true);
  const digest = sha256(preimage);
  return new DataView(digest.buffer, digest.byteOffset).getBigUint64(0, true);
}
