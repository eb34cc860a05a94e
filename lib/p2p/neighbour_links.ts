/**
 * One long-lived outgoing stream to each connected peer, for gossip and address records.
 *
 * A frame is a kind byte and a body. Opening a stream for each message would cost a negotiation;
 * one stream each way keeps messages in order and their latency at one network delay.
 */

import type { Connection, PeerId, Stream } from "@libp2p/interface";
import type { Libp2p } from "libp2p";
import { FrameStream, type Traffic } from "./frame_stream.ts";
import { keyOfPeerId, peerIdOfKey } from "./peer_key.ts";

export const LINK_PROTOCOL = "/psyche/link/1";

/** Kinds of frames. */
export const LinkFrame = { Message: 0, Records: 1, RecordsWanted: 2 } as const;

/** Largest frame, kind included, bytes. */
export const MAX_LINK_FRAME = 1 << 16;
/** Bytes waiting for one slow neighbour above which frames for it are dropped. */
const MAX_QUEUED = 1 << 20;
const OPEN_TIMEOUT_MS = 5_000;
const FIRST_REOPEN_WAIT_MS = 200;
const LAST_REOPEN_WAIT_MS = 5_000;

export class NeighbourLinks {
  readonly #node: Libp2p;
  readonly #traffic: Traffic;
  readonly #isAllowed: (key: string) => boolean;
  readonly #onFrame: (from: string, kind: number, body: Uint8Array) => void;
  readonly #onUp: (key: string) => void;
  readonly #links = new Map<string, FrameStream>();
  readonly #opening = new Set<string>();
  /** Failures in a row to keep a link to a connected peer. */
  readonly #failures = new Map<string, number>();
  readonly #timers = new Set<ReturnType<typeof setTimeout>>();
  #closed = false;

  constructor(options: {
    node: Libp2p;
    traffic: Traffic;
    isAllowed: (key: string) => boolean;
    /** Called for each frame of an allowed neighbour; must not throw. */
    onFrame: (from: string, kind: number, body: Uint8Array) => void;
    /** Called when frames can be sent to a neighbour. */
    onUp: (key: string) => void;
  }) {
    this.#node = options.node;
    this.#traffic = options.traffic;
    this.#isAllowed = options.isAllowed;
    this.#onFrame = options.onFrame;
    this.#onUp = options.onUp;
  }

  async start(): Promise<void> {
    await this.#node.handle(
      LINK_PROTOCOL,
      (stream, connection) => this.#serve(stream, connection),
      {
        maxInboundStreams: 4,
        maxOutboundStreams: 4,
      },
    );
    this.#node.addEventListener("peer:connect", (event) => this.#connected(event.detail));
  }

  /** Keys of the neighbours that frames can be sent to. */
  get neighbours(): string[] {
    return [...this.#links.keys()];
  }

  has(key: string): boolean {
    return this.#links.has(key);
  }

  /** Queues a frame; false when there is no link or the neighbour is too slow. */
  send(key: string, frame: Uint8Array): boolean {
    return this.#links.get(key)?.trySend(frame, MAX_QUEUED) ?? false;
  }

  /** Opens the links that connected peers do not have yet. */
  openAll(): void {
    for (const peer of this.#node.getPeers()) this.#connected(peer);
  }

  stop(): void {
    this.#closed = true;
    for (const timer of this.#timers) clearTimeout(timer);
    for (const link of this.#links.values()) link.abort("the network is closing");
    this.#links.clear();
  }

  #connected(peer: PeerId): void {
    const key = keyOfPeerId(peer);
    if (key === null) return;
    this.#failures.delete(key);
    this.#open(key);
  }

  async #open(key: string): Promise<void> {
    if (this.#closed || this.#links.has(key) || this.#opening.has(key)) return;
    if (!this.#isAllowed(key)) return;
    const connection = this.#node.getConnections(peerIdOfKey(key)).find((c) => c.status === "open");
    if (connection === undefined) return;
    this.#opening.add(key);
    try {
      const stream = await connection.newStream(LINK_PROTOCOL, {
        signal: AbortSignal.timeout(OPEN_TIMEOUT_MS),
      });
      const link = new FrameStream(stream, this.#traffic);
      if (this.#closed) return link.abort("the network is closing");
      this.#links.set(key, link);
      stream.addEventListener("close", () => this.#lost(key, link));
      if (!link.open) return this.#lost(key, link);
      this.#onUp(key);
    } catch {
      this.#reopenLater(key);
    } finally {
      this.#opening.delete(key);
    }
  }

  #lost(key: string, link: FrameStream): void {
    if (this.#links.get(key) !== link) return;
    this.#links.delete(key);
    this.#reopenLater(key);
  }

  /** The peer may still be there through a second connection; if not, this ends at `#open`. */
  #reopenLater(key: string): void {
    if (this.#closed) return;
    const failures = this.#failures.get(key) ?? 0;
    this.#failures.set(key, failures + 1);
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      this.#open(key);
    }, Math.min(LAST_REOPEN_WAIT_MS, FIRST_REOPEN_WAIT_MS * 2 ** failures));
    this.#timers.add(timer);
  }

  async #serve(stream: Stream, connection: Connection): Promise<void> {
    const frames = new FrameStream(stream, this.#traffic);
    const key = keyOfPeerId(connection.remotePeer);
    if (key === null) return frames.abort();
    try {
      while (!this.#closed) {
        const frame = await frames.read(MAX_LINK_FRAME);
        if (!this.#isAllowed(key)) break;
        if (frame.length > 0) this.#onFrame(key, frame[0], frame.subarray(1));
      }
    } catch {
      // The stream ended or sent too much; its peer will come back with a new one.
    }
    frames.abort();
  }
}
