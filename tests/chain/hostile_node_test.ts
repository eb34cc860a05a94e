/** A node that answers without end, with nonsense, or with refusals: bounded, named, and left for another. */
import assert from "node:assert/strict";
import { PublicKey } from "@solana/web3.js";
import { closeConnection, openConnection } from "../../lib/chain/connection.ts";
import { socketInternals } from "../../lib/chain/rpc_socket.ts";
import { PsycheError } from "../../lib/error.ts";
import { startFakeNode } from "./fake_node.ts";

const MiB = 1024 * 1024;
const address = new PublicKey(new Uint8Array(32).fill(9));

async function until(condition: () => boolean): Promise<void> {
  const deadline = Date.now() + 20_000;
  while (!condition()) {
    assert.ok(Date.now() < deadline, "waited too long");
    await new Promise((go) => setTimeout(go, 5));
  }
}

interface Node {
  rpcUrl: string;
  wsUrl: string;
  stop(): Promise<void>;
}

/** Answers HTTP and sockets as told. */
function startNode(
  answer: () => Response | Promise<Response>,
  onSocket: (socket: WebSocket) => void = () => {},
): Node {
  const server = Deno.serve({ port: 0, hostname: "127.0.0.1", onListen() {} }, (request) => {
    if (request.headers.get("upgrade") !== "websocket") return answer();
    const { socket, response } = Deno.upgradeWebSocket(request);
    onSocket(socket);
    return response;
  });
  const host = `127.0.0.1:${server.addr.port}`;
  return { rpcUrl: `http://${host}`, wsUrl: `ws://${host}`, stop: () => server.shutdown() };
}

/** Tells a socket's requests. */
function onRequest(socket: WebSocket, listener: (id: number, method: string) => void): void {
  socket.onmessage = ({ data }) => {
    const { id, method } = JSON.parse(data);
    if (id !== undefined) listener(id, method);
  };
}

function notFound(): Response {
  return new Response("no", { status: 404 });
}

Deno.test("an HTTP answer without end is cut off, named, and another endpoint is asked", async () => {
  let sent = 0;
  let cancelled = false;
  const part = new Uint8Array(MiB).fill(32);
  const endless = startNode(() =>
    new Response(
      new ReadableStream({
        pull(controller) {
          sent++;
          controller.enqueue(part);
        },
        cancel() {
          cancelled = true;
        },
      }, { highWaterMark: 0 }),
    )
  );
  const connection = openConnection(endless);
  const other = startFakeNode();
  other.set(new Uint8Array([7]), 5);
  const events: string[] = [];
  const withFallback = openConnection({
    ...endless,
    fallbacks: [other],
    onFailover: ({ reason }) => events.push(reason),
  });
  try {
    await assert.rejects(
      connection.getSlot(),
      (error: unknown) => error instanceof PsycheError && error.code === "RPC_ANSWER_TOO_LARGE",
    );
    await until(() => cancelled);
    // What is under way in the sockets' buffers comes on top, and nothing is asked for twice.
    assert.ok(sent >= 64 && sent < 128, `${sent} MiB`);
    const account = await withFallback.getAccountInfo(address);
    assert.deepEqual([...account!.data], [7]);
    assert.match(events[0], /more than 64 MiB/);
  } finally {
    await closeConnection(connection);
    await closeConnection(withFallback);
    await endless.stop();
    await other.stop();
  }
});

Deno.test("an answer that says beforehand that it is too long is not read", async () => {
  const connection = openConnection({
    rpcUrl: "http://node.example",
    fetch: () =>
      Promise.resolve(
        new Response("{}", { headers: { "content-length": String(64 * MiB + 1) } }),
      ),
  });
  await assert.rejects(
    connection.getSlot(),
    (error: unknown) => error instanceof PsycheError && error.code === "RPC_ANSWER_TOO_LARGE",
  );
  await closeConnection(connection);
});

Deno.test("a websocket message that is too long is dropped, told, and the next endpoint is asked", async () => {
  const loud = startNode(notFound, (socket) => {
    onRequest(socket, () => socket.send(" ".repeat(16 * MiB + 1)));
  });
  const other = startFakeNode();
  const problems: PsycheError[] = [];
  const connection = openConnection({
    ...loud,
    fallbacks: [other],
    onProblem: (problem) => problems.push(problem),
  });
  try {
    let lamports = 0;
    connection.onAccountChange(address, (account) => void (lamports = account.lamports));
    await until(() => other.subscribers() === 1);
    other.notify(new Uint8Array([1]), 6);
    await until(() => lamports === 1);
    assert.deepEqual(problems.map(({ code }) => code), ["RPC_ANSWER_TOO_LARGE"]);
  } finally {
    await closeConnection(connection);
    await loud.stop();
    await other.stop();
  }
});

Deno.test("a subscription that is refused is repeated with pauses", async () => {
  let refusals = 0;
  const node = startNode(notFound, (socket) => {
    onRequest(socket, (id) => {
      refusals++;
      socket.send(JSON.stringify({ jsonrpc: "2.0", id, error: { code: -32601, message: "no" } }));
    });
  });
  const connection = openConnection(node);
  const { error } = console;
  console.error = () => {}; // web3.js tells every refusal
  try {
    connection.onAccountChange(address, () => {});
    await until(() => refusals === 2);
    await new Promise((go) => setTimeout(go, 1000));
    assert.equal(refusals, 2);
  } finally {
    await closeConnection(connection);
    console.error = error;
    await node.stop();
  }
});

Deno.test("a node that ends every socket in good order is asked with pauses", async () => {
  let opened = 0;
  const node = startNode(notFound, (socket) => {
    socket.onopen = () => {
      opened++;
      socket.close(1000);
    };
  });
  const connection = openConnection(node);
  try {
    connection.onAccountChange(address, () => {});
    await until(() => opened === 2);
    await new Promise((go) => setTimeout(go, 1000));
    assert.equal(opened, 2);
  } finally {
    await closeConnection(connection);
    await node.stop();
  }
});

Deno.test("nonsense on a websocket harms nobody, and what comes after it is heard", async () => {
  const nonsense = [
    ...'null|0|[]|{}|"x"|{'.split("|"),
    '{"notification":"open"}',
    '{"notification":"accountNotification","params":null}',
    '{"method":"accountNotification"}',
    '{"method":"accountNotification","params":{"subscription":1,"result":{"context":7}}}',
    '{"method":"accountNotification","params":null}',
    '{"method":"close","params":{}}',
  ];
  let heard = 0;
  const node = startNode(notFound, (socket) => {
    onRequest(socket, (id, method) => {
      if (method !== "accountSubscribe") return;
      socket.send(JSON.stringify({ jsonrpc: "2.0", id, result: 1 }));
      nonsense.forEach((text) => socket.send(text));
      const value = {
        data: ["", "base64"],
        executable: false,
        lamports: 42,
        owner: PublicKey.default.toBase58(),
        rentEpoch: 0,
      };
      const result = { context: { slot: 3 }, value };
      const params = { subscription: 1, result };
      setTimeout(() =>
        socket.send(JSON.stringify({ jsonrpc: "2.0", method: "accountNotification", params }))
      );
    });
  });
  const problems: PsycheError[] = [];
  const connection = openConnection({ ...node, onProblem: (problem) => problems.push(problem) });
  try {
    connection.onAccountChange(address, ({ lamports }) => void (heard = lamports));
    await until(() => heard === 42);
    assert.deepEqual(problems.map(({ code }) => code), ["RPC_MESSAGE_INVALID"]);
  } finally {
    await closeConnection(connection);
    await node.stop();
  }
});

Deno.test("a signature's listener can be forgotten after its subscription got lost on the way", async () => {
  const node = startNode(notFound, (socket) => onRequest(socket, () => {}));
  const connection = openConnection(node);
  try {
    const id = connection.onSignature("1".repeat(88), () => {});
    // What a reconnection at the wrong moment leaves behind.
    socketInternals(connection)._subscriptionsByHash = {};
    await connection.removeSignatureListener(id);
  } finally {
    await closeConnection(connection);
    await node.stop();
  }
});
