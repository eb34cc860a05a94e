/** The swap-or-not shuffle, docs/protocol/deterministic-selection.md section 2. */
import { PsycheError } from "../error.ts";
import { sha256 } from "./sha256.ts";

const ROUNDS = 90;
/** Positions whose decision bits come from one hash. */
const BLOCK = 256;

/**
 * The shuffle of `0 .. count - 1` under a 32-byte seed: a bijection from index to position. Hashes are
 * computed once and shared by all indices (180 of them up to 256 entries).
 *
 * @returns a function that throws PsycheError `SHUFFLE_INDEX_OUT_OF_RANGE` unless
 * `0 <= index < count`.
 */
export function createShuffle(count: number, seed: Uint8Array): (index: number) => number {
  const rounds: { pivot: number; blocks: Map<number, Uint8Array> }[] = [];
  const prepare = () => {
    for (let round = 0; round < ROUNDS; round++) {
      const digest = sha256(seed, Uint8Array.of(round));
      const random = new DataView(digest.buffer, digest.byteOffset).getBigUint64(0, true);
      rounds.push({ pivot: Number(random % BigInt(count)), blocks: new Map() });
    }
  };
  const decisionBit = (round: number, position: number): number => {
    const { blocks } = rounds[round];
    const block = Math.floor(position / BLOCK);
    let bits = blocks.get(block);
    if (bits === undefined) {
      const preimage = new Uint8Array(5);
      preimage[0] = round;
      new DataView(preimage.buffer).setUint32(1, block, true);
      blocks.set(block, bits = sha256(seed, preimage));
    }
    return (bits[(position % BLOCK) >> 3] >> (position % 8)) & 1;
  };
  return (index) => {
    if (!Number.isInteger(index) || index < 0 || index >= count) {
      throw new PsycheError(
        "SHUFFLE_INDEX_OUT_OF_RANGE",
        `Index ${index} is outside of the shuffled range 0..${
          count - 1
        }; use an index of the round's client list.`,
      );
    }
    if (rounds.length === 0) prepare();
    let current = index;
    for (let round = 0; round < ROUNDS; round++) {
      const flip = (rounds[round].pivot + count - current) % count;
      if (decisionBit(round, Math.max(current, flip)) === 1) current = flip;
    }
    return current;
  };
}

/** Position of one index; see {@linkcode createShuffle} for many. */
export function shuffleIndex(index: number, count: number, seed: Uint8Array): number {
  return createShuffle(count, seed)(index);
}
