/** What a training client needs from its peers; implemented over libp2p by `createPeerNetwork`. */

/** One authenticated gossip message. `payload` is exactly the signed bytes. */
export interface PeerMessage {
  /** 32-byte ed25519 key that signed the message (its author, not the neighbour that relayed it). */
  from: Uint8Array;
  payload: Uint8Array;
}

/** Where a blob can be fetched: SHA-256 content id, byte length, the keys of known holders. */
export interface BlobTicket {
  /** SHA-256 of the whole blob, 32 bytes. */
  hash: Uint8Array;
  /** Bytes; checked against the caller's limit before anything is allocated. */
  size: number;
}

export interface FetchBlobOptions {
  /** Keys to try, in order of preference. */
  providers: Uint8Array[];
  /** Refuse tickets above this size, bytes. */
  maxSize: number;
  signal?: AbortSignal;
}

/** Counters for the status line, the event log and the tests. */
export interface PeerStatistics {
  connectedPeers: number;
  bytesSent: number;
  bytesReceived: number;
  messagesDropped: Record<string, number>;
}

/** Answers requests of the direct protocol (model sharing). Throw to answer with an error text. */
export type RequestHandler = (from: Uint8Array, request: Uint8Array) => Promise<Uint8Array>;

export interface PeerNetwork {
  /** Own 32-byte ed25519 public key = the `p2p_identity` on chain. */
  readonly publicKey: Uint8Array;
  /** Own dialable multiaddresses, without the peer id. */
  readonly addresses: string[];
  /** ed25519 signature (64 bytes) over `message` with the p2p key. */
  sign(message: Uint8Array): Uint8Array;
  /** Only these keys may connect, author messages or fetch blobs; replaces the earlier list. */
  setAllowList(keys: Uint8Array[]): void;
  /**
   * Signs and gossips a payload (at most 4096 bytes with its envelope) to the run's topic. A peer
   * delivers the same payload of the same author once: change a nonce to have it delivered again.
   */
  publish(payload: Uint8Array): Promise<void>;
  /** Verified messages of allowed peers; own messages are not delivered. */
  onMessage(handler: (message: PeerMessage) => void): void;
  /** Keeps the bytes for peers to fetch, under their SHA-256. */
  putBlob(bytes: Uint8Array): Promise<BlobTicket>;
  /** Forgets a blob. */
  removeBlob(hash: Uint8Array): void;
  /** Fetches, verifies chunk by chunk, and keeps (for re-serving) a blob. */
  fetchBlob(ticket: BlobTicket, options: FetchBlobOptions): Promise<Uint8Array>;
  /** Registers the answerer of direct requests. */
  onRequest(handler: RequestHandler): void;
  /** One request to one peer, answer at most `maxSize` bytes. */
  request(
    peer: Uint8Array,
    request: Uint8Array,
    options: { maxSize: number; signal?: AbortSignal },
  ): Promise<Uint8Array>;
  statistics(): PeerStatistics;
  close(): Promise<void>;
}
