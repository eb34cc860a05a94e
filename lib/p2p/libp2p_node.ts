/** The libp2p node under the peer network: TCP, Noise, Yamux and an allow list, nothing else. */

import { generateKeyPairFromSeed } from "@libp2p/crypto/keys";
import type { PeerDiscovery, PeerId } from "@libp2p/interface";
import { noise } from "@libp2p/noise";
import { tcp } from "@libp2p/tcp";
import { yamux } from "@libp2p/yamux";
import { createLibp2p, type Libp2p } from "libp2p";
import { keyOfPeerId } from "./peer_key.ts";

export interface NodeOptions {
  /** 32-byte Ed25519 seed. */
  secretKey: Uint8Array;
  /** Multiaddress to listen on. */
  listen: string;
  /** Asked after each handshake, before anything else of the remote is looked at. */
  isAllowed: (key: string) => boolean;
  /** Called for peers found by multicast DNS; left out: no multicast DNS. */
  mdns?: { serviceTag: string; onPeer: (key: string, addresses: string[]) => void };
}

/** Creates and starts the node. */
export async function createNode(options: NodeOptions): Promise<Libp2p> {
  const denied = (peer: PeerId) => {
    const key = keyOfPeerId(peer);
    return key === null || !options.isAllowed(key);
  };
  const discovery = options.mdns === undefined ? null : await import("@libp2p/mdns");
  const node = await createLibp2p({
    privateKey: await generateKeyPairFromSeed("Ed25519", options.secretKey),
    start: false,
    addresses: { listen: [options.listen] },
    transports: [tcp()],
    connectionEncrypters: [noise()],
    // The receive window stays below the read buffer, or a paused stream would be reset.
    streamMuxers: [
      yamux({ streamOptions: { maxStreamWindowSize: 2 << 20, maxReadBufferLength: 4 << 20 } }),
    ],
    connectionGater: {
      denyDialPeer: denied,
      denyInboundEncryptedConnection: denied,
      denyOutboundEncryptedConnection: denied,
    },
    connectionManager: {
      maxConnections: 600, // 256 clients, at worst two connections each while both sides dial
      inboundConnectionThreshold: 64, // per second and host: a machine may run many clients
      maxIncomingPendingConnections: 64,
      // A handshake is some five round trips, and far peers on bad networks need seconds for each.
      inboundUpgradeTimeout: 20_000,
      addressDialTimeout: 20_000,
    },
    // A machine that vanished without closing is noticed by these pings.
    connectionMonitor: {
      pingInterval: 10_000,
      pingTimeout: { minTimeout: 10_000, maxTimeout: 15_000 },
    },
    peerDiscovery: discovery === null ? [] : [(
      components: Parameters<
        ReturnType<typeof discovery.mdns>
      >[0],
    ): PeerDiscovery => {
      const service = discovery.mdns({ serviceTag: options.mdns!.serviceTag })(components);
      service.addEventListener("peer", ({ detail }) => {
        const key = keyOfPeerId(detail.id);
        if (key === null) return;
        options.mdns!.onPeer(key, detail.multiaddrs.map((a) => withoutPeerId(a.toString())));
      });
      return service;
    }],
  });
  await openPeerStoreQuietly(node);
  await node.start();
  return node;
}

/** A multiaddress text without its trailing `/p2p/<id>`. */
export function withoutPeerId(address: string): string {
  return address.replace(/\/p2p\/[^/]+$/, "");
}

/**
 * Takes the peer store's first lock while `BroadcastChannel` is a dummy.
 *
 * The lock library under libp2p opens a BroadcastChannel once per process, to lend its locks to
 * worker threads. Nobody borrows them here (they are made with `singleProcess`), the channel is
 * never closed, and Deno, whose channels have no `unref`, would never exit by itself.
 */
async function openPeerStoreQuietly(node: Libp2p): Promise<void> {
  const real = globalThis.BroadcastChannel;
  let firstLock: Promise<unknown>;
  globalThis.BroadcastChannel = class extends EventTarget {
    close() {}
    postMessage() {}
  } as unknown as typeof BroadcastChannel;
  try {
    firstLock = node.peerStore.patch(node.peerId, {}); // takes the lock before it first awaits
  } finally {
    globalThis.BroadcastChannel = real;
  }
  await firstLock;
}
