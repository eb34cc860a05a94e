/**
 * Indices of kept coefficients as they travel: docs/protocol/training-math.md section 3.5.
 */
import { PsycheError } from "../../error.ts";
import { indexWidth } from "../../protocol/distro_result_codec.ts";

/** Encodes int32 indices, each in `0..totalk-1`, little-endian. */
export function encodeIndices(indices: Int32Array, totalk: number): Uint8Array<ArrayBuffer> {
  const width = indexWidth(totalk);
  const bytes = new Uint8Array(indices.length * width);
  for (let i = 0, at = 0; i < indices.length; i++) {
    let rest = indices[i];
    for (let b = 0; b < width; b++, rest >>>= 8) bytes[at++] = rest;
  }
  return bytes;
}

/**
 * Decodes and checks indices of blocks of `totalk` entries.
 *
 * @param into gets them; a new array unless given. May be changed in part when they are refused
 * @throws PsycheError `DISTRO_RESULT_INVALID` when there are not as many indices as `into` has room for,
 * the byte count is not a whole number of them or an index is not below `totalk`.
 */
export function decodeIndices(
  bytes: Uint8Array,
  totalk: number,
  into: Int32Array = new Int32Array(Math.ceil(bytes.length / indexWidth(totalk))),
): Int32Array {
  const width = indexWidth(totalk);
  if (bytes.length !== into.length * width) {
    throw new PsycheError(
      "DISTRO_RESULT_INVALID",
      `${bytes.length} index bytes were received for ${into.length} entries of ${width} bytes; ` +
        "refuse this result.",
    );
  }
  for (let i = 0, at = 0; i < into.length; i++, at += width) {
    let index = bytes[at];
    if (width > 1) index += bytes[at + 1] * 2 ** 8;
    if (width > 2) index += bytes[at + 2] * 2 ** 16 + bytes[at + 3] * 2 ** 24;
    if (index >= totalk) {
      throw new PsycheError(
        "DISTRO_RESULT_INVALID",
        `Index ${index} is outside a block of ${totalk} entries; refuse this result.`,
      );
    }
    into[i] = index;
  }
  return into;
}
