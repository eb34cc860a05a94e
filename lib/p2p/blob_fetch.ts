/** Fetching a blob from one of several peers, chunk by verified chunk. */

import { PsycheError } from "../error.ts";
import { equalBytes } from "../protocol/bytes.ts";
import { sha256 } from "../protocol/sha256.ts";
import { CHUNK_SIZE, chunkCount, chunkRange, HASH_SIZE } from "./blob_manifest.ts";
import { BlobAnswer, BlobQuestion, blobQuestion } from "./blob_protocol.ts";
import type { FrameStream } from "./frame_stream.ts";
import type { BlobTicket } from "./peer_network.ts";

/** Questions on their way to one provider, so that its line is never idle between chunks. */
const WINDOW = 4;
/** However slowly a provider drips, a chunk takes no longer. */
const CHUNK_TOTAL_MS = 60_000;
/** A provider that failed without lying is asked once more after the others. */
const PASSES = 2;

export interface BlobFetchContext {
  /** Opens a stream to a provider (hex key). */
  open: (provider: string, signal?: AbortSignal) => Promise<FrameStream>;
  /** Give a provider up when no byte arrives for this long, milliseconds. */
  stallMs: number;
  signal?: AbortSignal;
}

/** What is held of a blob under one manifest. */
interface Assembly {
  manifest: Uint8Array;
  bytes: Uint8Array;
  missing: number[];
}

/** A provider's answers contradict the hashes: it is not asked again. */
class ProviderLied extends Error {}
/** A provider has another manifest than the one being assembled: it is asked when that one fails. */
class OtherManifest extends Error {}

/**
 * Fetches the blob of `ticket` from `providers` (hex keys, best first). Memory for it is allocated
 * only after a provider has shown a manifest of the right length.
 *
 * When a provider fails, the next one continues with the chunks that are still missing. A manifest
 * that turns out to be false costs the bytes fetched under it and every provider that showed it.
 *
 * @throws PsycheError `BLOB_UNAVAILABLE` with each provider's reason; the signal's reason on abort
 */
export async function fetchBlobFrom(
  ticket: BlobTicket,
  providers: string[],
  context: BlobFetchContext,
): Promise<Uint8Array> {
  const failures = new Map<string, string>();
  const lied = new Set<string>();
  let candidates = [...new Set(providers)];
  while (candidates.length > 0) {
    const shown = new Set<string>();
    const deferred: string[] = [];
    const fetcher = new AssemblyFetcher(ticket, context);
    for (const provider of Array.from({ length: PASSES }, () => candidates).flat()) {
      if (lied.has(provider) || deferred.includes(provider)) continue;
      context.signal?.throwIfAborted();
      try {
        await fetcher.fetchFrom(provider, () => shown.add(provider));
        break;
      } catch (error) {
        context.signal?.throwIfAborted();
        if (error instanceof OtherManifest) {
          deferred.push(provider);
          continue;
        }
        if (error instanceof ProviderLied) lied.add(provider);
        failures.set(provider, error instanceof Error ? error.message : String(error));
      }
    }
    const bytes = fetcher.complete();
    if (bytes === null) {
      candidates = deferred; // nobody could complete this manifest
      continue;
    }
    if (equalBytes(sha256(bytes), ticket.hash)) return bytes;
    for (const provider of shown) {
      lied.add(provider);
      failures.set(provider, "its chunk hashes do not belong to this blob");
    }
    candidates = candidates.filter((provider) => !lied.has(provider));
  }
  throw new PsycheError(
    "BLOB_UNAVAILABLE",
    `Blob ${ticket.hash.toHex()} (${ticket.size} bytes) could not be fetched from ` +
      `${providers.length} provider(s): ` +
      ([...failures].map(([key, why]) => `${key.slice(0, 8)}: ${why}`).join("; ") || "none given") +
      `; try again later or name other providers.`,
  );
}

/** Fetches under one manifest: that of the first provider that shows one. */
class AssemblyFetcher {
  readonly #ticket: BlobTicket;
  readonly #context: BlobFetchContext;
  #assembly: Assembly | null = null;

  constructor(ticket: BlobTicket, context: BlobFetchContext) {
    this.#ticket = ticket;
    this.#context = context;
    // A blob of at most one chunk needs no manifest: its id is its only chunk's hash.
    if (chunkCount(ticket.size) <= 1) {
      this.#begin(ticket.size === 0 ? new Uint8Array() : ticket.hash);
    }
  }

  /** The bytes once every chunk is there. */
  complete(): Uint8Array | null {
    return this.#assembly?.missing.length === 0 ? this.#assembly.bytes : null;
  }

  /** Fetches what is missing from one provider; `onManifest` is called once its manifest is in use. */
  async fetchFrom(provider: string, onManifest: () => void): Promise<void> {
    if (this.complete() !== null) return;
    const frames = await this.#context.open(provider, this.#context.signal);
    try {
      if (chunkCount(this.#ticket.size) > 1) await this.#readManifest(frames);
      onManifest();
      await this.#readChunks(frames, this.#assembly!);
    } finally {
      frames.abort();
    }
  }

  #begin(manifest: Uint8Array): Assembly {
    return this.#assembly = {
      manifest,
      bytes: new Uint8Array(this.#ticket.size),
      missing: Array.from({ length: chunkCount(this.#ticket.size) }, (_, i) => i),
    };
  }

  async #readManifest(frames: FrameStream): Promise<void> {
    await frames.send(blobQuestion(BlobQuestion.Manifest, this.#ticket.hash, 0));
    const size = HASH_SIZE * chunkCount(this.#ticket.size);
    const manifest = await this.#readAnswer(frames, size);
    if (this.#assembly === null) this.#begin(manifest);
    else if (!equalBytes(this.#assembly.manifest, manifest)) throw new OtherManifest();
  }

  async #readChunks(frames: FrameStream, assembly: Assembly): Promise<void> {
    const asked: number[] = [];
    const rest = assembly.missing.slice();
    while (rest.length > 0 || asked.length > 0) {
      while (asked.length < WINDOW && rest.length > 0) {
        const index = rest.shift()!;
        await frames.send(blobQuestion(BlobQuestion.Chunk, this.#ticket.hash, index));
        asked.push(index);
      }
      const index = asked.shift()!;
      const { start, end } = chunkRange(this.#ticket.size, index);
      const chunk = await this.#readAnswer(frames, end - start);
      const expected = assembly.manifest.subarray(index * HASH_SIZE, (index + 1) * HASH_SIZE);
      if (!equalBytes(sha256(chunk), expected)) {
        throw new ProviderLied(`chunk ${index} does not match its hash`);
      }
      assembly.bytes.set(chunk, start);
      assembly.missing = assembly.missing.filter((i) => i !== index);
    }
  }

  /** The body of an answer, which has to be exactly `size` bytes. */
  async #readAnswer(frames: FrameStream, size: number): Promise<Uint8Array> {
    const answer = await frames.read(1 + Math.max(size, CHUNK_SIZE), {
      stallMs: this.#context.stallMs,
      totalMs: CHUNK_TOTAL_MS,
      signal: this.#context.signal,
    });
    if (answer.length === 1 && answer[0] === BlobAnswer.NotHeld) {
      throw new Error("does not hold it");
    }
    if (answer[0] !== BlobAnswer.Held || answer.length !== 1 + size) {
      throw new ProviderLied(`answered ${answer.length - 1} bytes where ${size} belong`);
    }
    return answer.subarray(1);
  }
}
