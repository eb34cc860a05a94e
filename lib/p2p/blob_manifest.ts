/**
 * Chunk hashes of a blob: SHA-256 of each full MiB and of the rest, concatenated.
 *
 * The blob's id is the plain SHA-256 of its bytes, which says nothing about a chunk until the last
 * one is there. So a manifest is its provider's claim: chunks are checked against it one by one as
 * they arrive (which catches every accident and a provider that corrupts chunks), and the whole is
 * checked against the id at the end (which catches a provider that lied in its manifest).
 */

import { sha256 } from "../protocol/sha256.ts";

/** Bytes of every chunk but the last. */
export const CHUNK_SIZE = 1 << 20;
/** Bytes of one hash. */
export const HASH_SIZE = 32;

/** Number of chunks of a blob of `size` bytes. */
export function chunkCount(size: number): number {
  return Math.ceil(size / CHUNK_SIZE);
}

/** Byte range of chunk `index` in a blob of `size` bytes. */
export function chunkRange(size: number, index: number): { start: number; end: number } {
  const start = index * CHUNK_SIZE;
  return { start, end: Math.min(size, start + CHUNK_SIZE) };
}

/** The manifest of a blob, 32 bytes a chunk. */
export function createManifest(bytes: Uint8Array): Uint8Array {
  const count = chunkCount(bytes.length);
  const manifest = new Uint8Array(count * HASH_SIZE);
  for (let i = 0; i < count; i++) {
    const { start, end } = chunkRange(bytes.length, i);
    manifest.set(sha256(bytes.subarray(start, end)), i * HASH_SIZE);
  }
  return manifest;
}
