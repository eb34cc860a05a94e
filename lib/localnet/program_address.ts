/** Program-derived addresses without a Solana library, so that the localnet starts quickly. */
import { createHash } from "node:crypto";

const P = 2n ** 255n - 19n;
/** The d of the curve -x2 + y2 = 1 + d x2 y2. */
const D = 37095705934669439343138083508754565189542113879843219016388785533085940283555n;

function power(base: bigint, exponent: bigint): bigint {
  let result = 1n;
  for (let b = base % P, e = exponent; e > 0n; e >>= 1n, b = b * b % P) {
    if (e & 1n) result = result * b % P;
  }
  return result;
}

/** Whether 32 bytes are a point of ed25519, that is, could be somebody's public key. */
export function isOnCurve(bytes: Uint8Array): boolean {
  let y = 0n;
  for (let i = 31; i >= 0; i--) y = (y << 8n) | BigInt(i === 31 ? bytes[i] & 0x7f : bytes[i]);
  const y2 = y * y % P;
  // x2 = u / v has a root exactly when u v is 0 or a square.
  const product = ((y2 - 1n + P) % P) * ((D * y2 + 1n) % P) % P;
  return product === 0n || power(product, (P - 1n) / 2n) === 1n;
}

/** The first address off the curve for `seeds` under `program`, counting the bump down from 255. */
export function findProgramAddress(seeds: Uint8Array[], program: Uint8Array): Uint8Array {
  for (let bump = 255; bump >= 0; bump--) {
    const hash = createHash("sha256");
    for (const seed of seeds) hash.update(seed);
    const address = hash.update(Uint8Array.of(bump)).update(program)
      .update("ProgramDerivedAddress").digest();
    if (!isOnCurve(address)) return new Uint8Array(address);
  }
  throw new RangeError("no bump gives an address off the curve");
}
