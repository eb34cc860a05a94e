/** Base58 as Solana writes keys and signatures, with exact byte lengths. */
import bs58 from "bs58";

/** Any bytes to base58. Quadratic: keep it to keys, signatures and data that somebody asked for. */
export function toBase58(bytes: Uint8Array): string {
  return bs58.encode(bytes);
}

/** Base58 text to exactly `length` bytes, or undefined when it is anything else. */
export function fromBase58(text: string, length: number): Uint8Array | undefined {
  // The longest spelling of n bytes is below 1.4 n characters: bounds the quadratic decoder.
  if (text.length > length * 1.4 + 1) return undefined;
  const bytes = bs58.decodeUnsafe(text);
  return bytes?.length === length ? bytes : undefined;
}

/** Base58 text of unknown length, at most `limit` bytes; undefined when it is not that. */
export function fromBase58Upto(text: string, limit: number): Uint8Array | undefined {
  if (text.length > limit * 1.4 + 1) return undefined;
  const bytes = bs58.decodeUnsafe(text);
  return bytes && bytes.length <= limit ? bytes : undefined;
}

/** A well-known address that must be right; for constants in the source. */
export function knownKey(text: string): Uint8Array {
  const bytes = fromBase58(text, 32);
  if (!bytes) throw new TypeError(`${text} is not an address`);
  return bytes;
}
