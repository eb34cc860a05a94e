/** Starts a peer network over libp2p. */

import type { Libp2p } from "libp2p";
import { PsycheError } from "../error.ts";
import { createNode } from "./libp2p_node.ts";
import { Libp2pPeerNetwork } from "./libp2p_peer_network.ts";
import { PeerDirectory } from "./peer_directory.ts";
import type { PeerNetwork } from "./peer_network.ts";
import type { PeerNetworkOptions } from "./peer_network_options.ts";
import { createSigner } from "./signing.ts";
import { hostAddress, parseStaticPeer } from "./static_peer.ts";
import { topicOfRun } from "./topic.ts";

export type { PeerNetworkOptions } from "./peer_network_options.ts";

/**
 * Starts a peer network for one run. Nobody is allowed until `setAllowList` is called.
 * Transport, gossip and blobs as docs/protocol/client-lifecycle.md section 5 asks, with the freedom of
 * its section 15.
 *
 * @throws PsycheError `P2P_KEY_INVALID`, `STATIC_PEER_INVALID`, `P2P_LISTEN_FAILED`
 */
export async function createPeerNetwork(options: PeerNetworkOptions): Promise<PeerNetwork> {
  options.signal?.throwIfAborted();
  const signer = createSigner(options.secretKey);
  const directory = new PeerDirectory(topicOfRun(options.runId), signer.publicKey.toHex());
  for (const text of options.staticPeers ?? []) {
    const { key, address } = parseStaticPeer(text);
    directory.hint(key, [address]);
  }
  const listen = hostAddress(options.listen.host, options.listen.port);
  let network: Libp2pPeerNetwork | null = null;
  let node: Libp2p;
  try {
    node = await createNode({
      secretKey: options.secretKey,
      listen,
      isAllowed: (key) => directory.isAllowed(key),
      mdns: options.mdns !== true ? undefined : {
        serviceTag: `_psyche-${topicOfRun(options.runId).subarray(0, 4).toHex()}._udp.local`,
        onPeer: (key, addresses) => {
          directory.hint(key, addresses);
          network?.dialMissing();
        },
      },
    });
  } catch (cause) {
    throw new PsycheError(
      "P2P_LISTEN_FAILED",
      `Cannot listen for peers on ${listen}; choose another host or port (0 takes any free one).`,
      { cause },
    );
  }
  network = new Libp2pPeerNetwork(node, signer, directory, options);
  try {
    await network.start();
    options.signal?.throwIfAborted();
  } catch (error) {
    await network.close();
    throw error;
  }
  return network;
}
