/**
 * Values of kept coefficients as they travel: docs/protocol/training-math.md sections 3.4 and 3.6.
 */
import { PsycheError } from "../../error.ts";

/** Encodes values as fp32 little-endian, whatever the machine's own byte order. */
export function encodeFloats(values: Float32Array): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(values.length * 4);
  const view = new DataView(bytes.buffer);
  for (let i = 0; i < values.length; i++) view.setFloat32(i * 4, values[i], true);
  return bytes;
}

/** Encodes the sign bits (negative, also -0, is 1), first element in the least significant bit. */
export function encodeSigns(values: Float32Array): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(Math.ceil(values.length / 8));
  for (let i = 0; i < values.length; i++) {
    if (values[i] < 0 || Object.is(values[i], -0)) bytes[i >> 3] |= 1 << (i & 7);
  }
  return bytes;
}

/**
 * Decodes `count` values: fp32, or one bit each as `1 - 2 * bit`.
 *
 * @param into gets them; a new array unless given. May be changed in part when they are refused
 * @throws PsycheError `DISTRO_RESULT_INVALID` when the byte count does not fit `count`, a padding bit
 * is set, or a value is NaN or infinite.
 */
export function decodeValues(
  bytes: Uint8Array,
  count: number,
  oneBit: boolean,
  into: Float32Array = new Float32Array(count),
): Float32Array {
  const expected = oneBit ? Math.ceil(count / 8) : count * 4;
  if (bytes.length !== expected) {
    throw new PsycheError(
      "DISTRO_RESULT_INVALID",
      `${bytes.length} value bytes were received for ${count} entries, ${expected} are needed; refuse this result.`,
    );
  }
  if (oneBit) {
    if (count % 8 !== 0 && bytes[expected - 1] >> (count % 8) !== 0) {
      throw new PsycheError(
        "DISTRO_RESULT_INVALID",
        "The padding of the packed sign bits is not zero; refuse this result.",
      );
    }
    for (let i = 0; i < count; i++) into[i] = 1 - 2 * ((bytes[i >> 3] >> (i & 7)) & 1);
    return into;
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  for (let i = 0; i < count; i++) {
    const value = view.getFloat32(i * 4, true);
    if (!Number.isFinite(value)) {
      throw new PsycheError(
        "DISTRO_RESULT_INVALID",
        `Value ${i} of ${count} is ${value}; refuse this result.`,
      );
    }
    into[i] = value;
  }
  return into;
}
