/** Names and addresses of clusters, and how to show an address without its secrets. */
import { PsycheError } from "../error.ts";

export interface Endpoint {
  rpcUrl: string;
  wsUrl: string;
}

const MONIKERS: Record<string, string> = {
  localnet: "http://127.0.0.1:8899",
  localhost: "http://127.0.0.1:8899",
  devnet: "https://api.devnet.solana.com",
  testnet: "https://api.testnet.solana.com",
  mainnet: "https://api.mainnet-beta.solana.com",
  "mainnet-beta": "https://api.mainnet-beta.solana.com",
};

/**
 * Turn a moniker (localnet, devnet, testnet, mainnet) or an http(s) URL into both URLs of an endpoint.
 *
 * Without `ws`, the websocket URL is the HTTP one with the port plus one when a port is written, the
 * same host otherwise. Surrounding double quotes are dropped (docs/protocol/commands.md section 0.2).
 * @throws PsycheError RPC_URL_INVALID
 */
export function resolveEndpoint(rpc: string, ws?: string): Endpoint {
  const text = unquote(rpc);
  const rpcUrl = parseUrl(MONIKERS[text] ?? text, ["http:", "https:"]);
  if (ws !== undefined && unquote(ws) !== "") {
    const wsUrl = parseUrl(unquote(ws), ["ws:", "wss:"]);
    return { rpcUrl: rpcUrl.href, wsUrl: wsUrl.href };
  }
  const wsUrl = new URL(rpcUrl);
  wsUrl.protocol = rpcUrl.protocol === "https:" ? "wss:" : "ws:";
  if (rpcUrl.port !== "") wsUrl.port = String(Number(rpcUrl.port) + 1);
  return { rpcUrl: rpcUrl.href, wsUrl: wsUrl.href };
}

/**
 * The URL without what may be a secret: user and password, query values, and path parts that look
 * like keys (16 characters or more).
 */
export function redactUrl(url: string): string {
  let parsed: URL;
  try {
    parsed = new URL(url);
  } catch {
    return "(not a URL)";
  }
  const user = parsed.username || parsed.password ? "***@" : "";
  const path = parsed.pathname.replace(/[^/]{16,}/g, "***");
  const names = [...new Set(parsed.searchParams.keys())];
  const query = names.length ? `?${names.map((name) => `${name}=***`).join("&")}` : "";
  return `${parsed.protocol}//${user}${parsed.host}${path === "/" ? "" : path}${query}`;
}

/** "localnet", "devnet", "testnet", "mainnet" where the URL says so, else the redacted URL. */
export function clusterName(rpcUrl: string): string {
  const host = URL.canParse(rpcUrl) ? new URL(rpcUrl).hostname : "";
  if (["127.0.0.1", "localhost", "[::1]"].includes(host)) return "localnet";
  const named = /(devnet|testnet|mainnet)/.exec(host);
  return named ? named[1] : redactUrl(rpcUrl);
}

function unquote(text: string): string {
  return text.trim().replace(/^"+|"+$/g, "");
}

function parseUrl(text: string, protocols: string[]): URL {
  if (URL.canParse(text)) {
    const url = new URL(text);
    if (protocols.includes(url.protocol)) return url;
  }
  const shown = URL.canParse(text) ? redactUrl(text) : text.slice(0, 80);
  throw new PsycheError(
    "RPC_URL_INVALID",
    `"${shown}" is not an address of a cluster; give ${
      protocols.map((p) => `${p}//host`).join(" or ")
    }, or one of localnet, devnet, testnet, mainnet.`,
  );
}
