import { createHash } from "node:crypto";

/** SHA-256 over all parameters in the given order, fp32 little-endian, hex. */
export function weightsSha256(parameters: readonly { data: Float32Array }[]): string {
  const hash = createHash("sha256");
  for (const { data } of parameters) {
    hash.update(new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
  }
  return hash.digest("hex");
}
