/** Blobs held in memory, by their SHA-256, within a byte limit. */

import { PsycheError } from "../error.ts";
import { sha256 } from "../protocol/sha256.ts";
import { createManifest } from "./blob_manifest.ts";
import type { BlobTicket } from "./peer_network.ts";

interface HeldBlob {
  bytes: Uint8Array;
  /** Made when first asked for: most blobs have one chunk and need none. */
  manifest: Uint8Array | null;
  /** Fetched from a peer, so it may go when room is needed. */
  fetched: boolean;
}

export class BlobStore {
  readonly #maxBytes: number;
  readonly #blobs = new Map<string, HeldBlob>();
  #bytes = 0;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  /** Bytes held. */
  get bytes(): number {
    return this.#bytes;
  }

  /**
   * Holds one's own bytes until they are removed. They are not copied: do not change them.
   * @throws PsycheError `BLOB_STORE_FULL`
   */
  put(bytes: Uint8Array): BlobTicket {
    const hash = sha256(bytes);
    const name = hash.toHex();
    const held = this.#blobs.get(name);
    if (held !== undefined) {
      held.fetched = false;
    } else if (!this.#makeRoom(bytes.length)) {
      throw new PsycheError(
        "BLOB_STORE_FULL",
        `A blob of ${bytes.length} bytes does not fit beside the ${this.#bytes} bytes held, the limit ` +
          `is ${this.#maxBytes}; remove blobs that nobody needs any more or raise maxStoreBytes.`,
      );
    } else {
      this.#add(name, { bytes, manifest: null, fetched: false });
    }
    return { hash, size: bytes.length };
  }

  /** Holds verified bytes of a peer to serve them on, if there is room. */
  keep(hash: Uint8Array, bytes: Uint8Array): void {
    const name = hash.toHex();
    if (this.#blobs.has(name) || !this.#makeRoom(bytes.length)) return;
    this.#add(name, { bytes, manifest: null, fetched: true });
  }

  get(hash: Uint8Array): Uint8Array | null {
    return this.#blobs.get(hash.toHex())?.bytes ?? null;
  }

  manifest(hash: Uint8Array): Uint8Array | null {
    const held = this.#blobs.get(hash.toHex());
    if (held === undefined) return null;
    return held.manifest ??= createManifest(held.bytes);
  }

  remove(hash: Uint8Array): void {
    const name = hash.toHex();
    this.#bytes -= this.#blobs.get(name)?.bytes.length ?? 0;
    this.#blobs.delete(name);
  }

  #add(name: string, blob: HeldBlob): void {
    this.#blobs.set(name, blob);
    this.#bytes += blob.bytes.length;
  }

  /** Drops the longest held fetched blobs until `size` more bytes fit; drops none if they never will. */
  #makeRoom(size: number): boolean {
    const fetched = [...this.#blobs].filter(([, blob]) => blob.fetched);
    const removable = fetched.reduce((sum, [, blob]) => sum + blob.bytes.length, 0);
    if (this.#bytes - removable + size > this.#maxBytes) return false;
    for (const [name, blob] of fetched) {
      if (this.#bytes + size <= this.#maxBytes) break;
      this.#blobs.delete(name);
      this.#bytes -= blob.bytes.length;
    }
    return true;
  }
}
