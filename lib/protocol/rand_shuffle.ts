/**
 * The seeded shuffle of training data: docs/protocol/training-math.md section 6.3. ChaCha with 8
 * rounds supplies the numbers; the shuffle draws several indices from each.
 */
import { PsycheError } from "../error.ts";

const TWO_32 = 2 ** 32;

/** "expand 32-byte k" as four little-endian words. */
const CONSTANTS = [0x61707865, 0x3320646e, 0x79622d32, 0x6b206574];

/** ChaCha8 keystream as 32-bit words: key = seed, 64-bit block counter from 0, stream 0. */
export class ChaCha8 {
  readonly #input = new Uint32Array(16);
  readonly #block = new Uint32Array(16);
  #used = 16;

  /** @throws PsycheError `SEED_INVALID` when the seed has not 32 bytes */
  constructor(seed: Uint8Array) {
    if (seed.length !== 32) {
      throw new PsycheError(
        "SEED_INVALID",
        `A shuffle seed of ${seed.length} bytes was given; it must have 32.`,
      );
    }
    this.#input.set(CONSTANTS);
    const view = new DataView(seed.buffer, seed.byteOffset, 32);
    for (let i = 0; i < 8; i++) this.#input[4 + i] = view.getUint32(4 * i, true);
  }

  /** Next word of the keystream, 0..2^32-1. */
  nextU32(): number {
    if (this.#used === 16) this.#nextBlock();
    return this.#block[this.#used++];
  }

  /** Index in `0..bound-1` for `1 <= bound < 2^32`, from one or two words. */
  uniform(bound: number): number {
    const x = this.nextU32();
    const high = multiplyHigh(x, bound);
    const low = Math.imul(x, bound) >>> 0;
    if (low <= TWO_32 - bound) return high;
    const carry = low + multiplyHigh(this.nextU32(), bound) >= TWO_32;
    return carry ? high + 1 : high;
  }

  #nextBlock(): void {
    const input = this.#input;
    const x = this.#block;
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
    this.#used = 0;
  }
}

function quarterRound(x: Uint32Array, a: number, b: number, c: number, d: number): void {
  x[a] += x[b];
  x[d] = rotateLeft(x[d] ^ x[a], 16);
  x[c] += x[d];
  x[b] = rotateLeft(x[b] ^ x[c], 12);
  x[a] += x[b];
  x[d] = rotateLeft(x[d] ^ x[a], 8);
  x[c] += x[d];
  x[b] = rotateLeft(x[b] ^ x[c], 7);
}

function rotateLeft(word: number, count: number): number {
  return (word << count) | (word >>> (32 - count));
}

/** Upper 32 bits of the product of two unsigned 32-bit integers. */
function multiplyHigh(a: number, b: number): number {
  const aLow = a & 0xffff;
  const aHigh = a >>> 16;
  const bLow = b & 0xffff;
  const bHigh = b >>> 16;
  const first = aHigh * bLow + ((aLow * bLow) / 0x10000 >>> 0);
  const second = aLow * bHigh + (first % 0x10000);
  return aHigh * bHigh + Math.floor(first / 0x10000) + Math.floor(second / 0x10000);
}

/**
 * The shuffled order of `0..length-1`: element `i` of the result is what stands at place `i`.
 *
 * @throws PsycheError `SEED_INVALID` when the seed has not 32 bytes
 */
export function shuffleIndices(length: number, seed: Uint8Array): Uint32Array<ArrayBuffer> {
  const order = new Uint32Array(length);
  const random = new ChaCha8(seed);
  let chunk = 0;
  // The first index can only be 0 and takes no random number.
  let remaining = 1;
  for (let i = 0; i < length; i++) {
    order[i] = i;
    const choices = i + 1;
    if (remaining === 0) {
      let bound = choices;
      remaining = 1;
      while (bound * (choices + remaining) < TWO_32) bound *= choices + remaining++;
      chunk = random.uniform(bound);
    }
    remaining--;
    let place = chunk;
    if (remaining > 0) {
      place = chunk % choices;
      chunk = Math.floor(chunk / choices);
    }
    const swapped = order[place];
    order[place] = order[i];
    order[i] = swapped;
  }
  return order;
}
