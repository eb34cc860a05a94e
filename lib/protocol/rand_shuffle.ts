/** The seeded order of data, docs/protocol/training-math.md section 6.3. */
import { PsycheError } from "../error.ts";

/** Words of the constant "expand 32-byte k". */
const CONSTANTS = [0x61707865, 0x3320646e, 0x79622d32, 0x6b206574];
const TWO_32 = 2 ** 32;

/** ChaCha with 8 rounds as a generator of u32: 64-bit block counter from 0, stream 0. */
export class ChaCha8 {
  readonly #input = new Uint32Array(16);
  readonly #block = new Uint32Array(16);
  #next = 16;

  /** @throws PsycheError `SHUFFLE_SEED_INVALID` unless `seed` has 32 bytes. */
  constructor(seed: Uint8Array) {
    if (seed.length !== 32) {
      throw new PsycheError(
        "SHUFFLE_SEED_INVALID",
        `A shuffle seed has 32 bytes, not ${seed.length}; correct shuffle.Seeded of the run.`,
      );
    }
    this.#input.set(CONSTANTS);
    const view = new DataView(seed.buffer, seed.byteOffset, 32);
    for (let i = 0; i < 8; i++) this.#input[4 + i] = view.getUint32(4 * i, true);
  }

  /** The next u32. */
  nextU32(): number {
    if (this.#next === 16) this.#refill();
    return this.#block[this.#next++];
  }

  /** Uniform integer in `0 .. bound - 1`, by multiplication with at most one correction. */
  below(bound: number): number {
    const [high, low] = multiply(this.nextU32(), bound);
    if (low > TWO_32 - bound) {
      const [correction] = multiply(this.nextU32(), bound);
      if (low + correction >= TWO_32) return high + 1;
    }
    return high;
  }

  #refill(): void {
    const x = this.#block;
    const input = this.#input;
    x.set(input);
    for (let round = 0; round < 8; round += 2) {
      quarterRound(x, 0, 4, 8, 12);
      quarterRound(x, 1, 5, 9, 13);
      quarterRound(x, 2, 6, 10, 14);
      quarterRound(x, 3, 7, 11, 15);
      quarterRound(x, 0, 5, 10, 15);
      quarterRound(x, 1, 6, 11, 12);
      quarterRound(x, 2, 7, 8, 13);
      quarterRound(x, 3, 4, 9, 14);
    }
    for (let i = 0; i < 16; i++) x[i] += input[i];
    if (++input[12] === 0) input[13]++;
    this.#next = 0;
  }
}

function quarterRound(x: Uint32Array, a: number, b: number, c: number, d: number): void {
  x[a] += x[b];
  x[d] = rotate(x[d] ^ x[a], 16);
  x[c] += x[d];
  x[b] = rotate(x[b] ^ x[c], 12);
  x[a] += x[b];
  x[d] = rotate(x[d] ^ x[a], 8);
  x[c] += x[d];
  x[b] = rotate(x[b] ^ x[c], 7);
}

function rotate(word: number, by: number): number {
  return (word << by) | (word >>> (32 - by));
}

/** High and low word of the 64-bit product of two u32, without bigint. */
function multiply(a: number, b: number): [number, number] {
  const lowPart = (a & 0xffff) * b;
  const middle = (a >>> 16) * b + Math.floor(lowPart / 65536);
  return [Math.floor(middle / 65536), (middle % 65536) * 65536 + lowPart % 65536];
}

/**
 * Shuffles `list` in place as the slice shuffle of Rust's rand 0.9 does with a ChaCha8 generator of
 * that seed (32 bytes). Several small draws share one random word.
 */
export function shuffleSeeded<T extends { length: number; [index: number]: unknown }>(
  list: T,
  seed: Uint8Array,
): T {
  const generator = new ChaCha8(seed);
  let chunk = 0;
  // The first draw has one outcome and takes no random word.
  let remaining = 1;
  for (let i = 0; i < list.length; i++) {
    const choices = i + 1;
    if (remaining === 0) {
      let bound = choices;
      let factor = choices + 1;
      for (; bound * factor < TWO_32; factor++) bound *= factor;
      chunk = generator.below(bound);
      remaining = factor - choices;
    }
    remaining--;
    const j = remaining === 0 ? chunk : chunk % choices;
    chunk = Math.floor(chunk / choices);
    const swapped = list[i];
    list[i] = list[j];
    list[j] = swapped;
  }
  return list;
}

/** The permutation of `0 .. count - 1` under a seed; `count` at most 2^32 - 1. */
export function seededOrder(count: number, seed: Uint8Array): Uint32Array {
  return shuffleSeeded(Uint32Array.from({ length: count }, (_, i) => i), seed);
}
