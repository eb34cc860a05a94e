/**
 * The network side: JSON-RPC over HTTP and websocket, health, and served folders, all on both ports.
 */
import { PsycheError } from "../error.ts";
import type { Method } from "./node.ts";
import { portOwner } from "./port_owner.ts";
import type { PubSub } from "./pubsub.ts";
import { dispatch } from "./rpc.ts";
import { type ServedFolders, serveFile } from "./static_files.ts";

/** The most bytes an HTTP request or websocket message may have. */
export const BODY_LIMIT = 256 * 1024;
/** Websocket connections at one time. */
const CONNECTION_LIMIT = 1000;
/** Bytes waiting for a websocket client that does not read; more, and it is cut off. */
const BACKLOG_LIMIT = 64 * 1024 * 1024;
/**
 * The `ws` package under Deno loses frames that arrive right after the upgrade. It is known by its
 * missing User-Agent; its first frames wait this long.
 */
const HOLD_MILLIS = 60;

const CORS = {
  "access-control-allow-origin": "*",
  "access-control-allow-methods": "POST, GET, OPTIONS",
  "access-control-allow-headers": "*",
};

export interface ServerOptions {
  hostname: string;
  rpcPort: number;
  /** 0 = any; undefined = the RPC port + 1. */
  wsPort?: number;
  folders: ServedFolders;
}

export interface LocalnetServer {
  rpcPort: number;
  wsPort: number;
  close(): Promise<void>;
}

/** Starts listening. @throws PsycheError `PORT_TAKEN`, `BIND_FAILED` */
export async function startServer(
  find: (name: string) => Method | undefined,
  pubsub: PubSub,
  options: ServerOptions,
): Promise<LocalnetServer> {
  const sockets = new Set<WebSocket>();
  const handler = (request: Request): Response | Promise<Response> => {
    try {
      if (request.headers.get("upgrade")?.toLowerCase() === "websocket") {
        return upgrade(find, pubsub, sockets, request);
      }
      return answer(find, options.folders, request);
    } catch {
      return new Response("Internal error\n", { status: 500, headers: CORS });
    }
  };
  const [rpc, ws] = await listenBoth(handler, options);
  return {
    rpcPort: rpc.addr.port,
    wsPort: ws.addr.port,
    async close() {
      for (const socket of sockets) socket.close(1001);
      // A client may hold its connection open for ever: do not wait for its good will.
      await Promise.race([
        Promise.all([rpc.shutdown(), ws.shutdown()]),
        new Promise((done) => Deno.unrefTimer(setTimeout(done, 500))),
      ]);
    },
  };
}

type Server = Deno.HttpServer<Deno.NetAddr>;

async function listenBoth(handler: Deno.ServeHandler, options: ServerOptions): Promise<Server[]> {
  // With any port for both, the pair n, n + 1 is wanted: clients derive one from the other.
  const attempts = options.rpcPort === 0 && options.wsPort === undefined ? 20 : 1;
  for (let attempt = 1;; attempt++) {
    const rpc = await listen(handler, options.hostname, options.rpcPort);
    try {
      const wsPort = options.wsPort ?? rpc.addr.port + 1;
      return [rpc, await listen(handler, options.hostname, wsPort)];
    } catch (error) {
      await rpc.shutdown();
      if (attempt >= attempts) throw error;
    }
  }
}

async function listen(
  handler: Deno.ServeHandler,
  hostname: string,
  port: number,
): Promise<Server> {
  try {
    return Deno.serve({ hostname, port, onListen: () => {} }, handler) as Server;
  } catch (cause) {
    if (cause instanceof Deno.errors.AddrInUse) {
      const owner = await portOwner(port);
      throw new PsycheError(
        "PORT_TAKEN",
        `Port ${port} is taken${owner ? ` by ${owner}` : ""}; stop that, or choose another port ` +
          "with --rpc-port or --ws-port.",
        { cause },
      );
    }
    const detail = cause instanceof Error ? cause.message : String(cause);
    throw new PsycheError(
      "BIND_FAILED",
      `Cannot listen on ${hostname}:${port} (${detail}); choose another address or port.`,
      { cause },
    );
  }
}

async function answer(
  find: (name: string) => Method | undefined,
  folders: ServedFolders,
  request: Request,
): Promise<Response> {
  const { pathname } = new URL(request.url);
  if (request.method === "OPTIONS") return new Response(null, { status: 204, headers: CORS });
  if (request.method === "GET" || request.method === "HEAD") {
    if (pathname === "/health") return new Response("ok", { headers: CORS });
    return await serveFile(folders, request, pathname) ??
      new Response("Used with POST and JSON-RPC\n", { status: 405, headers: CORS });
  }
  if (request.method !== "POST") {
    return new Response("Used with POST\n", { status: 405, headers: CORS });
  }
  const body = await readBody(request);
  if (body === undefined) {
    return new Response(`A request may have at most ${BODY_LIMIT} bytes\n`, {
      status: 413,
      headers: CORS,
    });
  }
  return new Response(dispatch(find, body) ?? "", {
    headers: { ...CORS, "content-type": "application/json; charset=utf-8" },
  });
}

/** The body as text, undefined when it is too long; stops reading as soon as that is known. */
async function readBody(request: Request): Promise<string | undefined> {
  if (Number(request.headers.get("content-length") ?? 0) > BODY_LIMIT) return undefined;
  if (!request.body) return "";
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of request.body) {
    length += chunk.length;
    if (length > BODY_LIMIT) return undefined;
    chunks.push(chunk);
  }
  return await new Blob(chunks as BlobPart[]).text();
}

function upgrade(
  find: (name: string) => Method | undefined,
  pubsub: PubSub,
  sockets: Set<WebSocket>,
  request: Request,
): Response {
  if (sockets.size >= CONNECTION_LIMIT) {
    return new Response("Too many connections\n", { status: 503 });
  }
  // Headers are gone after the upgrade.
  const held = request.headers.get("user-agent") === null;
  const { socket, response } = Deno.upgradeWebSocket(request, { idleTimeout: 120 });
  let waiting: string[] | undefined = held ? [] : undefined;
  let release: ReturnType<typeof setTimeout> | undefined;
  const send = (text: string): void => {
    if (waiting) return void waiting.push(text);
    if (socket.readyState !== WebSocket.OPEN) return;
    if (socket.bufferedAmount > BACKLOG_LIMIT) return socket.close(1013, "too slow");
    socket.send(text);
  };
  const subscriber = pubsub.open(send);
  const findHere = (name: string): Method | undefined =>
    Object.hasOwn(subscriber.methods, name) ? subscriber.methods[name] : find(name);
  socket.onopen = () => {
    sockets.add(socket);
    if (!held) return;
    release = setTimeout(() => {
      const texts = waiting ?? [];
      waiting = undefined;
      for (const text of texts) send(text);
    }, HOLD_MILLIS);
  };
  socket.onmessage = ({ data }) => {
    if (typeof data !== "string" || data.length > BODY_LIMIT) {
      return socket.close(1009, "message too long");
    }
    const text = dispatch(findHere, data);
    if (text !== undefined) send(text);
  };
  socket.onclose = () => {
    clearTimeout(release);
    sockets.delete(socket);
    subscriber.close();
  };
  socket.onerror = () => {};
  return response;
}
