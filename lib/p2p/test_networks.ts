/** Help for the tests of this folder: networks on loopback, a misbehaving peer, waiting. */

import assert from "node:assert/strict";
import type { Stream } from "@libp2p/interface";
import { multiaddr } from "@multiformats/multiaddr";
import { createPeerNetwork, type PeerNetworkOptions } from "./create_peer_network.ts";
import { FrameStream } from "./frame_stream.ts";
import { createNode } from "./libp2p_node.ts";
import { LINK_PROTOCOL } from "./neighbour_links.ts";
import { peerIdOfKey } from "./peer_key.ts";
import type { PeerMessage, PeerNetwork } from "./peer_network.ts";
import { createSigner, type Signer } from "./signing.ts";

export const RUN = "test-run";

/** A signer made from a small number; a different one for each number. */
export function seedOf(number: number): Uint8Array {
  return new Uint8Array(32).fill(number);
}

/** A network on a free loopback port; closed with `await using`. */
export async function start(
  number: number,
  options: Partial<PeerNetworkOptions> = {},
): Promise<PeerNetwork & AsyncDisposable> {
  const network = await createPeerNetwork({
    secretKey: seedOf(number),
    runId: RUN,
    listen: { host: "127.0.0.1", port: 0 },
    ...options,
  });
  return Object.assign(network, { [Symbol.asyncDispose]: () => network.close() });
}

/** `<hexkey>@host:port` of a network. */
export function staticPeer(network: PeerNetwork): string {
  const [, , host, , port] = network.addresses[0].split("/");
  return `${network.publicKey.toHex()}@${host}:${port}`;
}

/** Puts all networks on each other's allow list. */
export function allowAll(...networks: PeerNetwork[]): void {
  for (const network of networks) network.setAllowList(networks.map((n) => n.publicKey));
}

/** Waits for a condition, for at most `ms`. */
export async function until(what: string, condition: () => boolean, ms = 10_000): Promise<void> {
  const end = performance.now() + ms;
  while (!condition()) {
    assert.ok(performance.now() < end, `not reached within ${ms} ms: ${what}`);
    await delay(5);
  }
}

export function delay(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** Waits until each network has that many neighbours. */
export async function untilConnected(count: number, ...networks: PeerNetwork[]): Promise<void> {
  await until(
    `${count} neighbours each`,
    () => networks.every((n) => n.statistics().connectedPeers === count),
  );
}

/** Collects what a network receives, payloads as text. */
export function inbox(network: PeerNetwork): { from: string; text: string }[] {
  const received: { from: string; text: string }[] = [];
  network.onMessage(({ from, payload }: PeerMessage) =>
    received.push({ from: from.toHex(), text: new TextDecoder().decode(payload) })
  );
  return received;
}

/** A temporary directory; removed with `await using`. */
export async function temporaryDirectory(): Promise<{ path: string } & AsyncDisposable> {
  const path = await Deno.makeTempDir();
  return { path, [Symbol.asyncDispose]: () => Deno.remove(path, { recursive: true }) };
}

/** A peer with a real key and connection that says whatever a test wants. */
export class RawPeer implements AsyncDisposable {
  readonly signer: Signer;
  readonly #node: Awaited<ReturnType<typeof createNode>>;

  private constructor(signer: Signer, node: Awaited<ReturnType<typeof createNode>>) {
    this.signer = signer;
    this.#node = node;
  }

  static async start(number: number): Promise<RawPeer> {
    const node = await createNode({
      secretKey: seedOf(number),
      listen: "/ip4/127.0.0.1/tcp/0",
      isAllowed: () => true,
    });
    return new RawPeer(createSigner(seedOf(number)), node);
  }

  get publicKey(): Uint8Array {
    return this.signer.publicKey;
  }

  get staticPeer(): string {
    const { port } = this.#node.getMultiaddrs()[0].toString().match(/tcp\/(?<port>\d+)/)!.groups!;
    return `${this.publicKey.toHex()}@127.0.0.1:${port}`;
  }

  /** Connections held. */
  get connections(): number {
    return this.#node.getConnections().length;
  }

  /** Dials a network and opens a stream of a protocol to it. */
  async open(network: PeerNetwork, protocol = LINK_PROTOCOL): Promise<FrameStream> {
    const stream = await this.openUnframed(network, protocol);
    return new FrameStream(stream, { bytesSent: 0, bytesReceived: 0 });
  }

  /** The same, without frames. */
  async openUnframed(network: PeerNetwork, protocol: string): Promise<Stream> {
    const id = peerIdOfKey(network.publicKey.toHex());
    return await this.#node.dialProtocol(
      multiaddr(`${network.addresses[0]}/p2p/${id}`),
      protocol,
      { signal: AbortSignal.timeout(5000) },
    );
  }

  /** Dials another raw peer and opens a stream of a protocol to it. */
  async dial(peer: RawPeer, protocol: string): Promise<FrameStream> {
    const stream = await this.#node.dialProtocol(peer.#node.getMultiaddrs(), protocol);
    return new FrameStream(stream, { bytesSent: 0, bytesReceived: 0 });
  }

  /** Answers a protocol. */
  async serve(
    protocol: string,
    handler: (frames: FrameStream, stream: Stream) => Promise<void>,
  ): Promise<void> {
    await this.#node.handle(protocol, async (stream) => {
      await handler(new FrameStream(stream, { bytesSent: 0, bytesReceived: 0 }), stream)
        .catch(() => {});
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#node.stop();
  }
}
