import { PsycheError } from "../error.ts";
import { sha256 } from "./sha256.ts";

const ROUNDS = 90;

/**
 * Position of `index` in the swap-or-not shuffle of `0 .. count - 1` under a 32-byte seed.
 * A bijection for every seed; docs/protocol/deterministic-selection.md section 2.
 *
 * @throws PsycheError `SHUFFLE_INDEX_OUT_OF_RANGE` unless `0 <= index < count`.
 */
export function shuffleIndex(index: number, count: number, seed: Uint8Array): number {
  if (!Number.isInteger(index) || index < 0 || index >= count) {
    throw new PsycheError(
      "SHUFFLE_INDEX_OUT_OF_RANGE",
      `Index ${index} is outside of the shuffled range 0..${
        count - 1
      }; use an index of the round's client list.`,
    );
  }
  const preimage = new Uint8Array(seed.length + 5);
  preimage.set(seed);
  const view = new DataView(preimage.buffer);
  let current = index;
  for (let round = 0; round < ROUNDS; round++) {
    preimage[seed.length] = round;
    const digest = sha256(preimage.subarray(0, seed.length + 1));
    const random = new DataView(digest.buffer, digest.byteOffset).getBigUint64(0, true);
    const pivot = Number(random % BigInt(count));
    const flip = (pivot + count - current) % count;
    const position = Math.max(current, flip);
    view.setUint32(seed.length + 1, Math.floor(position / 256), true);
    const source = sha256(preimage);
    const byte = source[(position % 256) >> 3];
    if ((byte >> (position % 8)) & 1) current = flip;
  }
  return current;
}
