/** A cheap fingerprint of a model's weights, to see whether two clients hold the same ones. */
import { createHash } from "node:crypto";
import { KernelMemory } from "./kernel_memory.ts";

/** Elements taken in at once; a multiple of the lanes. */
const PIECE = 16_384;
const LANES = 16;
/** Hexadecimal digits shown. */
const DIGITS = 32;

let memory: KernelMemory | undefined;
let state: Uint32Array<ArrayBuffer>;
let piece: Float32Array<ArrayBuffer>;

/**
 * Fingerprint of fp32 arrays in the given order, 32 hexadecimal digits. It depends on every bit and
 * on its place, and is the same on every machine. Equal weights have equal fingerprints, and others
 * have others by far most likely; but unlike SHA-256 it does **not** withstand somebody who looks for
 * two that agree, so it is for reports and not for decisions about what to trust. It takes about a
 * sixth of the time.
 */
export function weightsFingerprint(arrays: Iterable<Float32Array>): string {
  if (memory === undefined) {
    memory = new KernelMemory((PIECE + LANES) * 4);
    state = memory.take(Uint32Array<ArrayBuffer>, LANES);
    piece = memory.take(Float32Array<ArrayBuffer>, PIECE);
  }
  const hash = createHash("sha256");
  for (const data of arrays) {
    state.forEach((_, lane) => state[lane] = lane + 1);
    for (let at = 0; at < data.length; at += PIECE) {
      const length = Math.min(PIECE, data.length - at);
      piece.set(data.subarray(at, at + length));
      memory.kernels.fingerprint(state.byteOffset, piece.byteOffset, length);
    }
    // The lanes keep 512 bits of each array; the digest stirs them and takes in the order of arrays.
    hash.update(new Uint32Array([...state, data.length]));
  }
  return hash.digest("hex").slice(0, DIGITS);
}
