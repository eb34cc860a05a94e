/** A cheap fingerprint of a model's weights, to see whether two clients hold the same ones. */
import { createHash } from "node:crypto";
import { LANES, pieceCount } from "./elementwise_loops.ts";
import { operand } from "./kernel_space.ts";
import { type KernelThreads, soleThread } from "./kernel_threads.ts";

/** Hexadecimal digits shown. */
const DIGITS = 32;

/**
 * Gives the fingerprint of fp32 arrays as they are whenever it is called, in their order: 32 hexadecimal
 * digits. It depends on every bit and on its place, and is the same on every machine and for any number of threads. Equal weights have
 * equal fingerprints, and others have others by far most likely; but unlike SHA-256 it does **not**
 * withstand somebody who looks for two that agree, so it is for reports and not for decisions about
 * what to trust. It takes about a sixth of the time.
 */
export function weightsFingerprint(
  arrays: readonly Float32Array[],
  threads: KernelThreads = soleThread(),
): () => string {
  const pieces = arrays.map(pieceCount).reduce((a, b) => a + b, 0);
  // The lanes keep 512 bits of each piece; the digest stirs them and takes in their order.
  const lanes = new Uint32Array(new SharedArrayBuffer(4 * LANES * pieces));
  const lengths = Uint32Array.from(arrays, ({ length }) => length);
  const operands = arrays.map(operand);
  const run = threads.loop("fingerprint", { arrays: operands, lanes }, operands);
  return () => {
    run();
    const digest = createHash("sha256").update(lengths).update(lanes.slice()).digest("hex");
    return digest.slice(0, DIGITS);
  };
}
