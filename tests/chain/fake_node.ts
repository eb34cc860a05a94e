/** A node with one account and a will of its own: it drops sockets, stays silent and repeats itself. */
import { Buffer } from "node:buffer";

export interface FakeNode {
  rpcUrl: string;
  wsUrl: string;
  /** Open sockets that have subscribed. */
  subscribers(): number;
  /** How many subscriptions there ever were. */
  subscriptions(): number;
  set(data: Uint8Array | null, slot: number): void;
  /** Tell the subscribers about `data` (default: the account's) as of `slot`. */
  notify(data?: Uint8Array, slot?: number): void;
  dropSockets(): void;
  stop(): Promise<void>;
}

export function startFakeNode(): FakeNode {
  let account: Uint8Array | null = null;
  let slot = 0;
  let subscriptions = 0;
  const sockets = new Set<WebSocket>();

  const value = (data: Uint8Array | null, slice?: { offset: number; length: number }) => {
    if (!data) return null;
    const part = slice ? data.subarray(slice.offset, slice.offset + slice.length) : data;
    return {
      data: [Buffer.from(part).toString("base64"), "base64"],
      executable: false,
      lamports: 1,
      owner: "11111111111111111111111111111111",
      rentEpoch: 0,
    };
  };
  const onSocket = (socket: WebSocket) => {
    socket.onmessage = ({ data }) => {
      const { id, method } = JSON.parse(data);
      if (id === undefined) return;
      const result = method === "accountSubscribe" ? ++subscriptions : true;
      if (method === "accountSubscribe") sockets.add(socket);
      else sockets.delete(socket);
      socket.send(JSON.stringify({ jsonrpc: "2.0", id, result }));
    };
    socket.onclose = () => sockets.delete(socket);
  };
  const server = Deno.serve({ port: 0, hostname: "127.0.0.1", onListen() {} }, async (request) => {
    if (request.headers.get("upgrade") === "websocket") {
      const { socket, response } = Deno.upgradeWebSocket(request);
      onSocket(socket);
      return response;
    }
    const { id, params: [, config] } = await request.json();
    const result = { context: { slot }, value: value(account, config?.dataSlice) };
    return Response.json({ jsonrpc: "2.0", id, result });
  });
  const address = `127.0.0.1:${server.addr.port}`;
  return {
    rpcUrl: `http://${address}`,
    wsUrl: `ws://${address}`,
    subscribers: () => sockets.size,
    subscriptions: () => subscriptions,
    set(data, at) {
      account = data;
      slot = at;
    },
    notify(data = account!, at = slot) {
      const result = { context: { slot: at }, value: value(data) };
      for (const socket of sockets) {
        const params = { subscription: subscriptions, result };
        socket.send(JSON.stringify({ jsonrpc: "2.0", method: "accountNotification", params }));
      }
    },
    dropSockets() {
      for (const socket of sockets) socket.close(4000);
      sockets.clear();
    },
    stop: () => server.shutdown(),
  };
}
