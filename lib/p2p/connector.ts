/** Keeps trying to be connected to every allowed peer. */

import type { Connection } from "@libp2p/interface";
import type { Libp2p } from "libp2p";
import { multiaddr } from "@multiformats/multiaddr";
import type { AddressBook } from "./address_book.ts";
import { peerIdOfKey } from "./peer_key.ts";
import type { PeerDirectory } from "./peer_directory.ts";

const PASS_INTERVAL_MS = 250;
/**
 * Addresses are tried in turn, and some lead nowhere from here, so each gets little time at first; more
 * from try to try, for peers that are far away.
 */
const FIRST_PATIENCE_MS = 2_000;
const LAST_PATIENCE_MS = 16_000;
const FIRST_RETRY_MS = 250;
const LAST_RETRY_MS = 5_000;
const MAX_PARALLEL_DIALS = 16;
/**
 * Of two peers that learn of each other at the same time the one with the lower key dials at once
 * and the other waits this long, which mostly avoids a second connection.
 */
const HIGHER_KEY_WAIT_MS = 400;

interface Attempt {
  /** The addresses that were tried; new ones are tried at once. */
  addresses: string;
  failures: number;
  nextAt: number;
}

export class Connector {
  readonly #node: Libp2p;
  readonly #directory: PeerDirectory;
  readonly #ownKey: string;
  readonly #book: AddressBook | null;
  readonly #onRecord: (text: string, expectedKey: string) => void;
  readonly #attempts = new Map<string, Attempt>();
  readonly #dialling = new Set<string>();
  readonly #closing = new AbortController();
  #timer: ReturnType<typeof setTimeout> | undefined;
  #pass: Promise<void> = Promise.resolve();

  constructor(options: {
    node: Libp2p;
    directory: PeerDirectory;
    ownKey: string;
    book: AddressBook | null;
    /** Given what the address book holds for a key that is being looked for. */
    onRecord: (text: string, expectedKey: string) => void;
  }) {
    this.#node = options.node;
    this.#directory = options.directory;
    this.#ownKey = options.ownKey;
    this.#book = options.book;
    this.#onRecord = options.onRecord;
  }

  /** Looks around at once, then every quarter of a second; called again, at once again. */
  lookNow(): void {
    clearTimeout(this.#timer);
    this.#pass = this.#pass.then(() => this.#lookAround()).finally(() => {
      clearTimeout(this.#timer);
      if (!this.#closing.signal.aborted) {
        this.#timer = setTimeout(() => this.lookNow(), PASS_INTERVAL_MS);
      }
    });
  }

  /** Dials now what became dialable; called when an address or the allow list changed. */
  dialMissing(): void {
    const now = Date.now();
    for (const key of this.#directory.allowed) {
      if (this.#dialling.size >= MAX_PARALLEL_DIALS || this.#closing.signal.aborted) return;
      if (this.#dialling.has(key)) continue;
      if (this.#isConnected(key)) {
        this.#attempts.delete(key);
        continue;
      }
      const addresses = this.#directory.addressesOf(key, now);
      if (addresses.length === 0) continue;
      const joined = addresses.join(" ");
      let attempt = this.#attempts.get(key);
      if (attempt?.addresses !== joined) {
        const nextAt = now + (this.#ownKey < key ? 0 : HIGHER_KEY_WAIT_MS);
        attempt = { addresses: joined, failures: 0, nextAt };
        this.#attempts.set(key, attempt);
      }
      if (attempt.nextAt <= now) this.#dial(key, attempt);
    }
  }

  /**
   * Dials one peer now. Rejects when no address is known or none of them answers as that peer.
   *
   * @param patience milliseconds for each address
   */
  async connect(
    key: string,
    signal: AbortSignal,
    patience = FIRST_PATIENCE_MS,
  ): Promise<Connection> {
    const peerId = peerIdOfKey(key);
    let failure: unknown = new Error(`no address of peer ${key} is known`);
    for (const address of this.#directory.addressesOf(key, Date.now())) {
      const limit = AbortSignal.any([signal, AbortSignal.timeout(patience)]);
      try {
        return await this.#node.dial(multiaddr(`${address}/p2p/${peerId}`), { signal: limit });
      } catch (error) {
        signal.throwIfAborted();
        failure = error;
      }
    }
    throw failure;
  }

  async stop(): Promise<void> {
    this.#closing.abort();
    clearTimeout(this.#timer);
    await this.#pass;
  }

  async #lookAround(): Promise<void> {
    if (this.#closing.signal.aborted) return;
    if (this.#book !== null) {
      for (const key of this.#directory.allowed) {
        if (this.#isConnected(key)) continue;
        const text = await this.#book.read(key);
        if (this.#closing.signal.aborted) return;
        if (text !== null) this.#onRecord(text, key);
      }
    }
    for (const key of this.#attempts.keys()) {
      if (!this.#directory.isAllowed(key)) this.#attempts.delete(key);
    }
    this.dialMissing();
  }

  #isConnected(key: string): boolean {
    return this.#node.getConnections(peerIdOfKey(key)).some((c) => c.status === "open");
  }

  #dial(key: string, attempt: Attempt): void {
    this.#dialling.add(key);
    const patience = Math.min(LAST_PATIENCE_MS, FIRST_PATIENCE_MS * 2 ** attempt.failures);
    this.connect(key, this.#closing.signal, patience)
      .catch(() => {}) // whoever listens there now, or nobody: tried again below
      .finally(() => {
        this.#dialling.delete(key);
        // Also after success: a peer that does not allow us yet accepts and then closes.
        const wait = Math.min(LAST_RETRY_MS, FIRST_RETRY_MS * 2 ** attempt.failures++);
        attempt.nextAt = Date.now() + wait;
      });
  }
}
