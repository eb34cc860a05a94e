import assert from "node:assert/strict";
import { createConnection } from "node:net";
import fc from "fast-check";
import { BLOB_PROTOCOL } from "./blob_protocol.ts";
import { REQUEST_PROTOCOL } from "./direct_request.ts";
import { LINK_PROTOCOL } from "./neighbour_links.ts";
import {
  allowAll,
  inbox,
  RawPeer,
  start,
  staticPeer,
  until,
  untilConnected,
} from "./test_networks.ts";

Deno.test("random bytes on every protocol leave the network working", async () => {
  await using a = await start(1);
  await using b = await start(2, { staticPeers: [staticPeer(a)] });
  await using raw = await RawPeer.start(3);
  allowAll(a, b);
  a.setAllowList([b.publicKey, raw.publicKey]);
  a.onRequest((_, request) => Promise.resolve(request));
  await untilConnected(1, b);
  const protocol = fc.constantFrom(LINK_PROTOCOL, BLOB_PROTOCOL, REQUEST_PROTOCOL);
  const smallFrame = fc.uint8Array({ maxLength: 200 }).map((body) =>
    Uint8Array.of(0, 0, 0, body.length, ...body)
  );
  const bytes = fc.oneof(fc.uint8Array({ maxLength: 300 }), smallFrame);
  await fc.assert(
    fc.asyncProperty(protocol, fc.array(bytes, { maxLength: 3 }), async (protocol, pieces) => {
      const stream = await raw.openUnframed(a, protocol);
      try {
        for (const piece of pieces) stream.send(piece);
      } catch {
        // the network has ended the stream already, as it may
      }
      stream.abort(new Error("enough"));
    }),
    { numRuns: 150 },
  );
  const box = inbox(b);
  await a.publish(Uint8Array.of(1));
  await until("a message", () => box.length === 1);
  const ticket = await a.putBlob(new Uint8Array(100));
  await b.fetchBlob(ticket, { providers: [a.publicKey], maxSize: 100 });
  assert.equal((await b.request(a.publicKey, Uint8Array.of(7), { maxSize: 1 }))[0], 7);
});

Deno.test("random bytes instead of a handshake are cut off", async () => {
  await using a = await start(1);
  const port = Number(a.addresses[0].split("/").at(-1));
  for (let i = 0; i < 20; i++) {
    const socket = createConnection({ host: "127.0.0.1", port });
    const closed = new Promise((resolve) => socket.once("close", resolve));
    socket.on("error", () => {});
    socket.end(crypto.getRandomValues(new Uint8Array(1 + 50 * i)));
    await closed;
  }
  await using b = await start(2, { staticPeers: [staticPeer(a)] });
  allowAll(a, b);
  await untilConnected(1, a, b);
});

Deno.test("keys on the chain that are no keys at all are lived with", async () => {
  const garbage = [0x00, 0x01, 0xed, 0xff].map((byte) => new Uint8Array(32).fill(byte));
  await using a = await start(1);
  await using b = await start(2, {
    staticPeers: [
      staticPeer(a),
      ...garbage.map((key) => `${key.toHex()}@${staticPeer(a).split("@")[1]}`),
    ],
  });
  for (const network of [a, b]) network.setAllowList([a.publicKey, b.publicKey, ...garbage]);
  await untilConnected(1, a, b);
  const box = inbox(a);
  await b.publish(Uint8Array.of(1));
  await until("a message", () => box.length === 1);
  await assert.rejects(
    b.fetchBlob({ hash: new Uint8Array(32), size: 1 }, { providers: garbage, maxSize: 1 }),
    { code: "BLOB_UNAVAILABLE" },
  );
});
