/** The few values that the toolkit takes from the Solana CLI's own configuration file. */

export interface SolanaConfig {
  jsonRpcUrl?: string;
  websocketUrl?: string;
  keypairPath?: string;
}

/** Where the Solana CLI keeps its configuration, and its default keypair, below the home directory. */
export const SOLANA_CONFIG_PATH = ".config/solana/cli/config.yml";
export const SOLANA_KEYPAIR_PATH = ".config/solana/id.json";

/**
 * Reads the flat `key: value` lines that the Solana CLI writes. This is no YAML reader: nested
 * blocks, such as the address labels, are passed over. Empty values (`websocket_url: ''`) are absent.
 */
export function parseSolanaConfig(source: string): SolanaConfig {
  const values = new Map<string, string>();
  for (const line of source.split(/\r?\n/)) {
    const match = /^([a-z_]+):\s*(.*?)\s*$/.exec(line);
    if (match === null) continue;
    const value = match[2].replace(/^(["'])(.*)\1$/, "$2");
    if (value !== "" && value !== "null" && value !== "~") values.set(match[1], value);
  }
  return {
    jsonRpcUrl: values.get("json_rpc_url"),
    websocketUrl: values.get("websocket_url"),
    keypairPath: values.get("keypair_path"),
  };
}
