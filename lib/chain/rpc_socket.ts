/**
 * The websocket of a web3.js `Connection`, made fit for nodes of any kind: sockets that work under
 * Deno, messages of bounded size and right shape, and pauses where web3.js would try again at once.
 */
import type { Connection } from "@solana/web3.js";
import { PsycheError } from "../error.ts";
import { answerTooLarge, MAX_MESSAGE_BYTES } from "./bounded_body.ts";
import { type Endpoint, redactUrl } from "./endpoint.ts";
import { NativeSocket } from "./native_socket.ts";
import { sleep } from "./sleep.ts";

/** The private parts of a web3.js 1.x Connection that are needed here (version pinned in deno.json). */
export interface SocketInternals {
  _rpcWebSocket: {
    webSocketFactory: (url: string) => NativeSocket;
    underlyingSocket: NativeSocket | undefined;
    socket: NativeSocket | undefined;
    reconnect_timer_id: ReturnType<typeof setTimeout> | undefined;
    dataPack: { encode(value: unknown): string; decode(text: string): unknown };
    call(method: string, ...rest: unknown[]): Promise<unknown>;
    emit(event: string, ...values: unknown[]): boolean;
    setReconnectInterval(millis: number): void;
    setAutoReconnect(on: boolean): void;
    on(event: string, listener: () => void): void;
    off(event: string, listener: () => void): void;
    removeAllListeners(event: string): void;
  };
  _rpcWebSocketConnected: boolean;
  _rpcWebSocketHeartbeat: ReturnType<typeof setInterval> | null;
  _rpcWebSocketIdleTimeout: ReturnType<typeof setTimeout> | null;
  _subscriptionsByHash: Record<string, unknown>;
}

export interface SocketRules {
  /** Asked in turn when one does not open. */
  endpoints: Endpoint[];
  /** The connection was closed for good. */
  closed: AbortSignal;
  /** Told about nodes that send what they should not. */
  onProblem?: (problem: PsycheError) => void;
}

/** A socket that lived this long was healthy. */
const HEALTHY_MILLIS = 5_000;
const FIRST_PAUSE_MILLIS = 1_000;
const MAX_PAUSE_MILLIS = 15_000;

export function socketInternals(connection: Connection): SocketInternals {
  return connection as unknown as SocketInternals;
}

/** To be called once, before the first subscription. */
export function useNativeSockets(connection: Connection, rules: SocketRules): void {
  const inner = socketInternals(connection);
  const rpc = inner._rpcWebSocket;
  openWithPauses(rpc, rules);
  subscribeWithPauses(rpc, rules.closed);
  checkMessages(rpc, rules);
  forgetListenersQuietly(connection);
  // web3.js prints socket errors to the console; a library does not. The close event follows anyway.
  rpc.removeAllListeners("error");
  rpc.on("error", () => inner._rpcWebSocketConnected = false);
}

type RpcSocket = SocketInternals["_rpcWebSocket"];

function openWithPauses(rpc: RpcSocket, { endpoints, onProblem }: SocketRules): void {
  let turn = 0;
  let shortLives = 0;
  rpc.webSocketFactory = () => {
    const { wsUrl } = endpoints[turn % endpoints.length];
    const socket = new NativeSocket(wsUrl, {
      maxMessageBytes: MAX_MESSAGE_BYTES,
      onTooLarge() {
        turn++;
        onProblem?.(answerTooLarge(`The websocket ${redactUrl(wsUrl)}`, MAX_MESSAGE_BYTES));
      },
    });
    let opened: number | undefined;
    socket.addEventListener("open", () => opened = performance.now());
    // Comes before the listener that plans the next attempt.
    socket.addEventListener("close", () => {
      if (opened === undefined) turn++;
      const isHealthy = opened !== undefined && performance.now() - opened >= HEALTHY_MILLIS;
      shortLives = isHealthy ? 0 : shortLives + 1;
      rpc.setReconnectInterval(pauseAfter(shortLives));
    });
    rpc.underlyingSocket = socket;
    return socket;
  };
}

/** web3.js repeats a subscription that is refused as fast as the refusals come. */
function subscribeWithPauses(rpc: RpcSocket, closed: AbortSignal): void {
  const call = rpc.call.bind(rpc);
  const refusals = new Map<string, number>();
  rpc.call = async (method, ...rest) => {
    try {
      const result = await call(method, ...rest);
      refusals.delete(method);
      return result;
    } catch (error) {
      const count = (refusals.get(method) ?? 0) + 1;
      refusals.set(method, count);
      await sleep(pauseAfter(count), closed).catch(() => {});
      // web3.js would open the socket again to repeat it.
      if (closed.aborted) return await new Promise(() => {});
      throw error;
    }
  };
}

/**
 * web3.js ends a signature's subscription by itself when its news has come, without waiting for it; where
 * that fails, because a reconnection was faster, nobody could catch it.
 */
function forgetListenersQuietly(connection: Connection): void {
  const remove = connection.removeSignatureListener.bind(connection);
  connection.removeSignatureListener = (id) => remove(id).catch(() => {});
}

/** What is no JSON-RPC is dropped: web3.js would fail on it where nobody can catch that. */
function checkMessages(rpc: RpcSocket, { endpoints, onProblem }: SocketRules): void {
  const { decode } = rpc.dataPack;
  rpc.dataPack.decode = (text) => {
    const message = decode(text);
    if (!isMessage(message)) throw new TypeError("not a JSON-RPC message"); // caught by its caller
    return message;
  };
  const emit = rpc.emit.bind(rpc);
  let isReported = false;
  rpc.emit = (event, ...values) => {
    try {
      return emit(event, ...values);
    } catch (cause) {
      if (!isReported) {
        isReported = true; // once is enough
        const source = redactUrl(endpoints[0].wsUrl);
        onProblem?.(
          new PsycheError(
            "RPC_MESSAGE_INVALID",
            `The websocket ${source} sends a ${event} that cannot be read; use another endpoint.`,
            { cause },
          ),
        );
      }
      return true;
    }
  };
}

/** An answer, or one of Solana's notifications; by other names rpc-websockets tells its own events. */
function isMessage(value: unknown): boolean {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return false;
  if ("notification" in value) return false;
  if (!("method" in value)) return "id" in value;
  const { method, params } = value as { method: unknown; params?: unknown };
  return typeof method === "string" && method.endsWith("Notification") &&
    typeof params === "object" && params !== null;
}

function pauseAfter(failures: number): number {
  if (failures === 0) return FIRST_PAUSE_MILLIS;
  return Math.min(MAX_PAUSE_MILLIS, FIRST_PAUSE_MILLIS * 2 ** (failures - 1));
}
