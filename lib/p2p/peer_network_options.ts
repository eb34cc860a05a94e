/** What a peer network is started with. */

export interface PeerNetworkOptions {
  /** 32-byte Ed25519 seed; its public key is the `p2p_identity` on chain. */
  secretKey: Uint8Array;
  runId: string;
  /** Where to listen; port 0 takes any free port, host `0.0.0.0` or `::` all interfaces. */
  listen: { host: string; port: number };
  /** `<hexkey>@<host>:<port>` of peers with known addresses. */
  staticPeers?: string[];
  /** Directory shared with other clients on this machine or volume; made when missing. */
  addressBookDirectory?: string;
  /** Addresses to tell others instead of the ones listened on (behind a published port). */
  announce?: { host: string; port: number }[];
  /** Also look for peers by multicast DNS on the local network. */
  mdns?: boolean;
  /** Blob bytes held at most; 1 GiB when left out. */
  maxStoreBytes?: number;
  /** Give a blob provider up when no byte arrives for this long, milliseconds; 4000 when left out. */
  stallMs?: number;
  /** Told of what may interest a user; one sentence each. */
  onLog?: (line: string) => void;
  /** Aborting it closes the network. */
  signal?: AbortSignal;
}
