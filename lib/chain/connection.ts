/**
 * A web3.js `Connection` (commitment confirmed) with timeouts, fail-over and sockets that work
 * under Deno. See docs/protocol/client-lifecycle.md sections 9 and 10.
 */
import { Connection } from "@solana/web3.js";
import type { PsycheError } from "../error.ts";
import { clusterName, redactUrl, resolveEndpoint } from "./endpoint.ts";
import { createFailoverFetch, type FailoverOptions } from "./failover_fetch.ts";
import { socketInternals, useNativeSockets } from "./rpc_socket.ts";
import { sleep } from "./sleep.ts";

export { clusterName, redactUrl, resolveEndpoint } from "./endpoint.ts";

export interface OpenConnectionOptions {
  /** http(s) URL or moniker: localnet, devnet, testnet, mainnet. */
  rpcUrl: string;
  /** Default: derived from `rpcUrl`. */
  wsUrl?: string;
  /** Endpoints of the same cluster, asked in this order when the first fails. */
  fallbacks?: { rpcUrl: string; wsUrl?: string }[];
  /** Ends everything under way and every later call. */
  signal?: AbortSignal;
  timeoutMillis?: number;
  onFailover?: FailoverOptions["onFailover"];
  /** Told when a websocket sends what it should not: RPC_ANSWER_TOO_LARGE, RPC_MESSAGE_INVALID. */
  onProblem?: (problem: PsycheError) => void;
  /** For tests. */
  fetch?: FailoverOptions["fetch"];
}

interface State {
  cluster: string;
  close: AbortController;
}

const states = new WeakMap<Connection, State>();

/**
 * Open a connection. Nothing is sent before the first call; sockets open with the first
 * subscription.
 * @throws PsycheError RPC_URL_INVALID
 */
export function openConnection(options: OpenConnectionOptions): Connection {
  const endpoints = [options, ...(options.fallbacks ?? [])]
    .map(({ rpcUrl, wsUrl }) => resolveEndpoint(rpcUrl, wsUrl));
  const close = new AbortController();
  const failoverFetch = createFailoverFetch({
    urls: endpoints.map((endpoint) => endpoint.rpcUrl),
    signal: options.signal,
    closed: close.signal,
    timeoutMillis: options.timeoutMillis,
    onFailover: options.onFailover,
    fetch: options.fetch,
  });
  const connection = new PlainConnection(endpoints[0].rpcUrl, {
    commitment: "confirmed",
    wsEndpoint: endpoints[0].wsUrl,
    fetch: failoverFetch as typeof fetch,
    disableRetryOnRateLimit: true, // the fail-over fetch has its own rules
    httpAgent: false,
  });
  useNativeSockets(connection, {
    endpoints,
    closed: close.signal,
    onProblem: options.onProblem,
  });
  states.set(connection, { cluster: clusterName(endpoints[0].rpcUrl), close });
  return connection;
}

/** web3.js turns errors into parts of another error's text in three methods; here they pass as they are. */
class PlainConnection extends Connection {
  override async getBalance(...args: Parameters<Connection["getBalance"]>) {
    return (await this.getBalanceAndContext(...args)).value;
  }
  override async getAccountInfo(...args: Parameters<Connection["getAccountInfo"]>) {
    return (await this.getAccountInfoAndContext(...args)).value;
  }
  override async getLatestBlockhash(...args: Parameters<Connection["getLatestBlockhash"]>) {
    return (await this.getLatestBlockhashAndContext(...args)).value;
  }
}

/**
 * Close a connection: sockets and timers end, new requests fail, those under way may finish (web3.js
 * has some that nobody awaits, whose failure would end the process).
 * Calling it twice, or with a Connection made elsewhere, does no harm.
 */
export async function closeConnection(connection: Connection): Promise<void> {
  states.get(connection)?.close.abort(new DOMException("The connection is closed.", "AbortError"));
  const inner = socketInternals(connection);
  const rpc = inner._rpcWebSocket;
  inner._subscriptionsByHash = {}; // else the close handler would open the socket again
  rpc.setAutoReconnect(false);
  clearTimeout(rpc.reconnect_timer_id);
  clearInterval(inner._rpcWebSocketHeartbeat ?? undefined);
  clearTimeout(inner._rpcWebSocketIdleTimeout ?? undefined);
  const socket = rpc.socket;
  if (!socket) return;
  const closed = new Promise<void>((resolve) => socket.addEventListener("close", () => resolve()));
  const giveUp = new AbortController();
  socket.close(1000);
  await Promise.race([closed, sleep(1000, giveUp.signal).catch(() => {})]);
  giveUp.abort();
  // web3.js' own close handler runs one timer later and clears what the heartbeat still holds.
  await sleep(1);
  clearTimeout(inner._rpcWebSocketIdleTimeout ?? undefined);
}

/** How to name the cluster of `connection` in a message; never holds an API key. */
export function clusterOf(connection: Connection): string {
  return states.get(connection)?.cluster ?? redactUrl(connection.rpcEndpoint);
}

/** Call `listener` each time a websocket has (re)opened: whoever subscribed may have missed something. */
export function onSocketOpen(connection: Connection, listener: () => void): () => void {
  const rpc = socketInternals(connection)._rpcWebSocket;
  rpc.on("open", listener);
  return () => rpc.off("open", listener);
}

/** Drop the websocket, if any, so that it is opened anew (for a socket that has gone silent). */
export function resetSocket(connection: Connection): void {
  socketInternals(connection)._rpcWebSocket.socket?.close(4000, "silent");
}
