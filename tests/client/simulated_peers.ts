import { PsycheError } from "../../lib/error.ts";
import type {
  BlobTicket,
  FetchBlobOptions,
  PeerMessage,
  PeerNetwork,
  RequestHandler,
} from "../../lib/p2p/peer_network.ts";
import { createSigner } from "../../lib/p2p/signing.ts";
import { sha256 } from "../../lib/protocol/sha256.ts";
import type { Faults } from "./faults.ts";

export interface PeerFaults {
  faults: Faults;
  /** Probability that one receiver misses one message. */
  lostMessages: number;
  /** Probability that a message arrives twice. */
  doubledMessages: number;
  /** Probability that one attempt to fetch from one provider fails. */
  failedFetches: number;
  /** Longest delay, wall milliseconds. */
  delay: number;
}

/** Peers in memory: messages get lost, doubled and delayed, fetches fail. */
export class SimulatedPeers {
  readonly #peers = new Map<string, SimulatedPeer>();
  readonly options: PeerFaults;

  constructor(options: PeerFaults) {
    this.options = options;
  }

  /** @param secretKey 32-byte ed25519 seed */
  join(secretKey: Uint8Array): SimulatedPeer {
    const peer = new SimulatedPeer(this, secretKey);
    this.#peers.set(peer.publicKey.toHex(), peer);
    return peer;
  }

  leave(peer: SimulatedPeer): void {
    this.#peers.delete(peer.publicKey.toHex());
  }

  find(key: Uint8Array): SimulatedPeer | undefined {
    return this.#peers.get(key.toHex());
  }

  others(peer: SimulatedPeer): SimulatedPeer[] {
    return [...this.#peers.values()].filter((other) => other !== peer);
  }
}

export class SimulatedPeer implements PeerNetwork {
  readonly addresses = [];
  readonly publicKey: Uint8Array;
  readonly sign: (message: Uint8Array) => Uint8Array;
  readonly blobs = new Map<string, Uint8Array>();
  /** Replaces outgoing blobs, for a peer that lies. */
  corrupt: ((bytes: Uint8Array) => Uint8Array) | null = null;
  /** Asleep: sends and receives nothing. */
  deaf = false;
  readonly #net: SimulatedPeers;
  #allowed = new Set<string>();
  #onMessage: (message: PeerMessage) => void = () => {};
  #onRequest: RequestHandler = () => Promise.reject(new Error("nobody answers"));

  constructor(net: SimulatedPeers, secretKey: Uint8Array) {
    const signer = createSigner(secretKey);
    this.publicKey = signer.publicKey;
    this.sign = (message) => signer.sign(message);
    this.#net = net;
  }

  setAllowList(keys: Uint8Array[]): void {
    this.#allowed = new Set(keys.map((key) => key.toHex()));
  }

  publish(payload: Uint8Array): Promise<void> {
    const { faults, lostMessages, doubledMessages, delay } = this.#net.options;
    for (const other of this.#net.others(this)) {
      if (this.deaf || other.deaf || faults.happens(lostMessages)) continue;
      const copies = faults.happens(doubledMessages) ? 2 : 1;
      for (let i = 0; i < copies; i++) {
        setTimeout(
          () => other.receive({ from: this.publicKey, payload: payload.slice() }),
          faults.upTo(delay),
        );
      }
    }
    return Promise.resolve();
  }

  receive(message: PeerMessage): void {
    if (this.#allowed.has(message.from.toHex())) this.#onMessage(message);
  }

  onMessage(handler: (message: PeerMessage) => void): void {
    this.#onMessage = handler;
  }

  putBlob(bytes: Uint8Array): Promise<BlobTicket> {
    const hash = sha256(bytes);
    this.blobs.set(hash.toHex(), bytes);
    return Promise.resolve({ hash, size: bytes.length });
  }

  removeBlob(hash: Uint8Array): void {
    this.blobs.delete(hash.toHex());
  }

  async fetchBlob(
    ticket: BlobTicket,
    { providers, maxSize }: FetchBlobOptions,
  ): Promise<Uint8Array> {
    const { faults, failedFetches, delay } = this.#net.options;
    for (const provider of providers) {
      await new Promise((resolve) => setTimeout(resolve, faults.upTo(delay)));
      const peer = this.#net.find(provider);
      const held = this.deaf || peer?.deaf ? undefined : peer?.blobs.get(ticket.hash.toHex());
      if (!peer || !held || faults.happens(failedFetches)) continue;
      const bytes = peer.corrupt ? peer.corrupt(held) : held;
      if (bytes.length > maxSize || sha256(bytes).toHex() !== ticket.hash.toHex()) continue;
      this.blobs.set(ticket.hash.toHex(), bytes);
      return bytes.slice();
    }
    throw new PsycheError("BLOB_UNAVAILABLE", "No simulated provider delivered the blob.");
  }

  onRequest(handler: RequestHandler): void {
    this.#onRequest = handler;
  }

  async request(peer: Uint8Array, request: Uint8Array): Promise<Uint8Array> {
    const { faults, failedFetches, delay } = this.#net.options;
    await new Promise((resolve) => setTimeout(resolve, faults.upTo(delay)));
    const other = this.#net.find(peer);
    if (!other || other.deaf || this.deaf || faults.happens(failedFetches)) {
      throw new PsycheError("PEER_UNREACHABLE", "The simulated peer does not answer.");
    }
    return await other.#onRequest(this.publicKey, request);
  }

  statistics() {
    return { connectedPeers: 0, bytesSent: 0, bytesReceived: 0, messagesDropped: {} };
  }

  close(): Promise<void> {
    this.#net.leave(this);
    return Promise.resolve();
  }
}
