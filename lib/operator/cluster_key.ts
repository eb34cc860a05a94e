/** The folder name under which records of one cluster are kept. */

const KNOWN_GENESIS: Record<string, string> = {
  "EtWTRABZaYq6iMfeYKouRu166VU2xqa1wcaWoxPkrZBG": "devnet",
  "4uhcVJyU9pJkvQyS88uRDiswHXSCkY3zQawwpjk2NsNY": "testnet",
  "5eykt4UsFv8P8NJdTREpY1vzqKqZKvdpKuc147dw2N9d": "mainnet",
};

/**
 * `devnet`, `testnet` and `mainnet` by genesis hash; `localnet` (or `localnet-<port>`) for a loopback
 * address, because a localnet has a new genesis hash at every start; else the hash's first 8 characters.
 */
export function clusterKey(rpcUrl: string, genesisHash: string): string {
  return KNOWN_GENESIS[genesisHash] ?? localnetKey(rpcUrl) ?? genesisHash.slice(0, 8);
}

/** The key of a loopback URL, null for any other. */
export function localnetKey(rpcUrl: string): string | null {
  if (!URL.canParse(rpcUrl)) return null;
  const { hostname, port } = new URL(rpcUrl);
  if (!["127.0.0.1", "localhost", "[::1]"].includes(hostname)) return null;
  return port === "8899" ? "localnet" : `localnet-${port || "80"}`;
}

/** Link to a transaction in the public explorer; null on clusters that it does not show. */
export function explorerLink(cluster: string, signature: string): string | null {
  if (!["devnet", "testnet", "mainnet"].includes(cluster)) return null;
  const query = cluster === "mainnet" ? "" : `?cluster=${cluster}`;
  return `https://explorer.solana.com/tx/${signature}${query}`;
}
