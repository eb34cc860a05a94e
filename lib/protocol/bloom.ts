import { PsycheError } from "../error.ts";
import type { Bloom } from "./coordinator_state.ts";

/** Hash keys of a filter. */
export const BLOOM_KEYS = 8;
/** 64-bit words of a filter (1024 bits). */
export const BLOOM_WORDS = 16;

/** The FNV-1a prime 0x100000001b3 modulo 1024. */
const PRIME = 0x1b3;

/**
 * An empty 1024-bit filter under 8 keys (u64, random, chosen by who builds the filter).
 *
 * @throws PsycheError `BLOOM_KEYS_INVALID` unless there are exactly 8.
 */
export function createBloom(keys: ArrayLike<bigint>): Bloom {
  if (keys.length !== BLOOM_KEYS) {
    throw new PsycheError(
      "BLOOM_KEYS_INVALID",
      `A bloom filter takes ${BLOOM_KEYS} keys, not ${keys.length}; draw ${BLOOM_KEYS} random u64.`,
    );
  }
  return { keys: BigUint64Array.from(keys), words: new BigUint64Array(BLOOM_WORDS) };
}

/** The all-zero filter, which contains nothing. */
export function emptyBloom(): Bloom {
  return { keys: new BigUint64Array(BLOOM_KEYS), words: new BigUint64Array(BLOOM_WORDS) };
}

/**
 * Bit positions of an item: FNV-1a 64 started from each key, modulo 1024;
 * docs/protocol/deterministic-selection.md section 8.
 *
 * The low 10 bits of an FNV state depend on nothing but its low 10 bits, so small integers do.
 */
export function bloomPositions(bloom: Bloom, item: Uint8Array): number[] {
  const positions: number[] = [];
  for (const key of bloom.keys) {
    let state = Number(key & 1023n);
    for (const byte of item) state = ((state ^ byte) * PRIME) & 1023;
    positions.push(state);
  }
  return positions;
}

/** Adds an item (32-byte hash: `sha256(signer)`, or a commitment's data hash). */
export function bloomAdd(bloom: Bloom, item: Uint8Array): void {
  for (const position of bloomPositions(bloom, item)) {
    bloom.words[position >> 6] |= 1n << BigInt(position & 63);
  }
}

/** True when the item was added, or by accident of the hashes. */
export function bloomContains(bloom: Bloom, item: Uint8Array): boolean {
  return bloomPositions(bloom, item)
    .every((position) => ((bloom.words[position >> 6] >> BigInt(position & 63)) & 1n) === 1n);
}
