/** `PeerNetwork` over a libp2p node. */

import type { Connection } from "@libp2p/interface";
import type { Libp2p } from "libp2p";
import { PsycheError } from "../error.ts";
import { AddressBook } from "./address_book.ts";
import { fetchBlobFrom } from "./blob_fetch.ts";
import { BLOB_PROTOCOL, serveBlobs } from "./blob_protocol.ts";
import { BlobStore } from "./blob_store.ts";
import { Connector } from "./connector.ts";
import { askPeer, checkRequestSize, REQUEST_PROTOCOL, serveRequest } from "./direct_request.ts";
import { FrameStream } from "./frame_stream.ts";
import { withoutPeerId } from "./libp2p_node.ts";
import { MessageMesh } from "./message_mesh.ts";
import { LinkFrame, NeighbourLinks } from "./neighbour_links.ts";
import type { PeerDirectory } from "./peer_directory.ts";
import { OwnRecord } from "./own_record.ts";
import { keyOfPeerId, peerIdOfKey } from "./peer_key.ts";
import type {
  BlobTicket,
  FetchBlobOptions,
  PeerMessage,
  PeerNetwork,
  PeerStatistics,
  RequestHandler,
} from "./peer_network.ts";
import type { PeerNetworkOptions } from "./peer_network_options.ts";
import { RecordExchange } from "./record_exchange.ts";
import type { Signer } from "./signing.ts";
import { hostAddress } from "./static_peer.ts";
import { topicOfRun } from "./topic.ts";

const OPEN_TIMEOUT_MS = 5_000;
const MAX_INBOUND_STREAMS = 32;

/** The parts of a peer network put together: links, gossip, blobs, requests and discovery. */
export class Libp2pPeerNetwork implements PeerNetwork {
  readonly publicKey: Uint8Array;
  readonly #node: Libp2p;
  readonly #signer: Signer;
  readonly #directory: PeerDirectory;
  readonly #options: PeerNetworkOptions;
  readonly #links: NeighbourLinks;
  readonly #mesh: MessageMesh;
  readonly #exchange: RecordExchange;
  readonly #connector: Connector;
  readonly #ownRecord: OwnRecord;
  readonly #store: BlobStore;
  readonly #traffic = { bytesSent: 0, bytesReceived: 0 };
  readonly #dropped: Record<string, number> = {};
  readonly #messageHandlers: ((message: PeerMessage) => void)[] = [];
  readonly #closing = new AbortController();
  #requestHandler: RequestHandler | null = null;
  #closed: Promise<void> | null = null;

  constructor(node: Libp2p, signer: Signer, directory: PeerDirectory, options: PeerNetworkOptions) {
    this.publicKey = signer.publicKey;
    this.#node = node;
    this.#signer = signer;
    const topic = topicOfRun(options.runId);
    this.#directory = directory;
    this.#options = options;
    this.#store = new BlobStore(options.maxStoreBytes ?? 1 << 30);
    const book = options.addressBookDirectory === undefined
      ? null
      : new AddressBook(options.addressBookDirectory, topic);
    this.#links = new NeighbourLinks({
      node,
      traffic: this.#traffic,
      isAllowed: (key) => directory.isAllowed(key),
      onFrame: (from, kind, body) => this.#receiveFrame(from, kind, body),
      onUp: (key) => this.#exchange.sendAll(key),
    });
    this.#mesh = new MessageMesh({
      signer,
      topic,
      directory,
      links: this.#links,
      dropped: this.#dropped,
      deliver: (message) => this.#deliver(message),
    });
    this.#exchange = new RecordExchange({
      directory,
      links: this.#links,
      own: () => this.#ownRecord.current,
      onNew: () => this.dialMissing(),
    });
    this.#connector = new Connector({
      node,
      directory,
      ownKey: this.publicKey.toHex(),
      book,
      onRecord: (text, key) => this.#exchange.receive(text, key),
    });
    this.#ownRecord = new OwnRecord({
      signer,
      topic,
      book,
      addresses: () => this.addresses,
      onRenewed: (record) => this.#exchange.spread(record),
      onLog: (line) => this.#log(line),
    });
  }

  async start(): Promise<void> {
    const limits = { maxInboundStreams: MAX_INBOUND_STREAMS, maxOutboundStreams: 256 };
    await this.#links.start();
    await this.#node.handle(BLOB_PROTOCOL, async (stream, connection) => {
      const key = this.#allowedKey(connection);
      if (key === null) return stream.abort(new Error("not in the allow list"));
      const isAllowed = () => this.#directory.isAllowed(key) && !this.#closing.signal.aborted;
      await serveBlobs(stream, this.#store, this.#traffic, isAllowed);
    }, limits);
    await this.#node.handle(REQUEST_PROTOCOL, async (stream, connection) => {
      const key = this.#allowedKey(connection);
      if (key === null) return stream.abort(new Error("not in the allow list"));
      await serveRequest(stream, Uint8Array.fromHex(key), this.#requestHandler, this.#traffic);
    }, limits);
    await this.#ownRecord.start();
    this.#exchange.start();
    this.#connector.lookNow();
    const closeOnAbort = () => void this.close().catch((error) => this.#log(`closing: ${error}`));
    this.#options.signal?.addEventListener("abort", closeOnAbort, {
      once: true,
      signal: this.#closing.signal,
    });
    this.#log(`listening for peers on ${this.addresses.join(", ")}`);
  }

  get addresses(): string[] {
    const announced = this.#options.announce?.map(({ host, port }) => hostAddress(host, port));
    return announced ?? this.#node.getMultiaddrs().map((a) => withoutPeerId(a.toString()));
  }

  sign(message: Uint8Array): Uint8Array {
    return this.#signer.sign(message);
  }

  setAllowList(keys: Uint8Array[]): void {
    for (const key of keys) checkKey(key);
    if (!this.#directory.setAllowed(keys.map((key) => key.toHex()))) return;
    for (const connection of this.#node.getConnections()) {
      if (this.#allowedKey(connection) === null) {
        connection.abort(new Error("not in the allow list"));
      }
    }
    this.#links.openAll(); // a connection made just before may have been refused its link
    this.#exchange.askIfMissing();
    this.#connector.lookNow();
  }

  publish(payload: Uint8Array): Promise<void> {
    return Promise.try(() => {
      this.#throwIfClosed();
      this.#mesh.publish(payload);
    });
  }

  onMessage(handler: (message: PeerMessage) => void): void {
    this.#messageHandlers.push(handler);
  }

  putBlob(bytes: Uint8Array): Promise<BlobTicket> {
    return Promise.try(() => this.#store.put(bytes));
  }

  removeBlob(hash: Uint8Array): void {
    this.#store.remove(hash);
  }

  async fetchBlob(ticket: BlobTicket, options: FetchBlobOptions): Promise<Uint8Array> {
    this.#throwIfClosed();
    checkTicket(ticket, options.maxSize);
    const held = this.#store.get(ticket.hash);
    if (held !== null) return held;
    const providers = options.providers.map((key) => checkKey(key).toHex());
    const bytes = await fetchBlobFrom(ticket, providers.filter((key) => key !== this.#ownKey), {
      open: (provider, signal) => this.#open(provider, BLOB_PROTOCOL, signal),
      stallMs: this.#options.stallMs ?? 4_000,
      signal: this.#alsoWhenClosing(options.signal),
    });
    this.#store.keep(ticket.hash, bytes);
    return bytes;
  }

  onRequest(handler: RequestHandler): void {
    this.#requestHandler = handler;
  }

  async request(
    peer: Uint8Array,
    request: Uint8Array,
    options: { maxSize: number; signal?: AbortSignal },
  ): Promise<Uint8Array> {
    this.#throwIfClosed();
    checkRequestSize(request);
    const signal = this.#alsoWhenClosing(options.signal);
    const frames = await this.#open(checkKey(peer).toHex(), REQUEST_PROTOCOL, signal);
    return await askPeer(frames, request, { maxSize: options.maxSize, signal });
  }

  statistics(): PeerStatistics {
    return {
      connectedPeers: this.#links.neighbours.length,
      ...this.#traffic,
      messagesDropped: { ...this.#dropped },
    };
  }

  close(): Promise<void> {
    return this.#closed ??= this.#close();
  }

  /** Called when an address became known from outside. */
  dialMissing(): void {
    this.#connector.dialMissing();
  }

  get #ownKey(): string {
    return this.publicKey.toHex();
  }

  async #close(): Promise<void> {
    this.#closing.abort(
      new PsycheError("P2P_CLOSED", "The peer network is closed; create a new one to go on."),
    );
    this.#exchange.stop();
    await this.#connector.stop();
    await this.#ownRecord.stop();
    this.#links.stop();
    await this.#node.stop();
  }

  /** Opens a stream to an allowed peer, dialling it when it is not connected. */
  async #open(key: string, protocol: string, outer?: AbortSignal): Promise<FrameStream> {
    if (!this.#directory.isAllowed(key)) {
      throw new PsycheError(
        "PEER_NOT_ALLOWED",
        `Peer ${key} is not in the allow list; ask one of the epoch's clients.`,
      );
    }
    const timeout = AbortSignal.timeout(OPEN_TIMEOUT_MS);
    const signal = outer === undefined ? timeout : AbortSignal.any([timeout, outer]);
    try {
      const connections = this.#node.getConnections(peerIdOfKey(key));
      const connection = connections.find((c) => c.status === "open") ??
        await this.#connector.connect(key, signal);
      return new FrameStream(await connection.newStream(protocol, { signal }), this.#traffic);
    } catch (cause) {
      outer?.throwIfAborted();
      throw new PsycheError(
        "PEER_UNREACHABLE",
        `Peer ${key} cannot be reached; try again later or ask another peer.`,
        { cause },
      );
    }
  }

  #receiveFrame(from: string, kind: number, body: Uint8Array): void {
    if (kind === LinkFrame.Message) return this.#mesh.receive(from, body);
    if (kind === LinkFrame.RecordsWanted) return this.#exchange.answer(from);
    if (kind === LinkFrame.Records) return this.#exchange.receive(new TextDecoder().decode(body));
    this.#dropped.unknown_kind = (this.#dropped.unknown_kind ?? 0) + 1;
  }

  #deliver(message: PeerMessage): void {
    for (const handler of this.#messageHandlers) {
      try {
        handler(message);
      } catch (error) {
        this.#log(`a message handler failed: ${error}`);
      }
    }
  }

  #allowedKey(connection: Connection): string | null {
    const key = keyOfPeerId(connection.remotePeer);
    return key !== null && this.#directory.isAllowed(key) ? key : null;
  }

  #alsoWhenClosing(signal?: AbortSignal): AbortSignal {
    return signal === undefined
      ? this.#closing.signal
      : AbortSignal.any([signal, this.#closing.signal]);
  }

  #log(line: string): void {
    this.#options.onLog?.(line);
  }

  #throwIfClosed(): void {
    this.#closing.signal.throwIfAborted();
  }
}

function checkKey(key: Uint8Array): Uint8Array {
  if (key.length === 32) return key;
  throw new PsycheError(
    "P2P_KEY_INVALID",
    `A peer key has 32 bytes, this one has ${key.length}; pass the p2p_identity from the chain.`,
  );
}

function checkTicket(ticket: BlobTicket, maxSize: number): void {
  if (ticket.hash.length !== 32 || !Number.isSafeInteger(ticket.size) || ticket.size < 0) {
    throw new PsycheError(
      "BLOB_TICKET_INVALID",
      `A blob ticket needs a 32-byte hash and a size, this one has ${ticket.hash.length} bytes and ` +
        `size ${ticket.size}; drop the message it came with.`,
    );
  }
  if (ticket.size > maxSize) {
    throw new PsycheError(
      "BLOB_TOO_LARGE",
      `A blob of ${ticket.size} bytes is announced where at most ${maxSize} are allowed; ` +
        `drop the message it came with.`,
    );
  }
}
