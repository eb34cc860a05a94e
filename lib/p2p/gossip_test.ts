import assert from "node:assert/strict";
import fc from "fast-check";
import { sealEnvelope } from "./envelope.ts";
import { messageFrame } from "./message_mesh.ts";
import {
  allowAll,
  delay,
  inbox,
  RawPeer,
  RUN,
  start,
  staticPeer,
  until,
  untilConnected,
} from "./test_networks.ts";
import { topicOfRun } from "./topic.ts";

const text = (value: string) => new TextEncoder().encode(value);

Deno.test("a message reaches every other peer once, with its author", async () => {
  await using a = await start(1);
  await using b = await start(2, { staticPeers: [staticPeer(a)] });
  await using c = await start(3, { staticPeers: [staticPeer(a), staticPeer(b)] });
  const boxes = [inbox(a), inbox(b), inbox(c)];
  allowAll(a, b, c);
  await untilConnected(2, a, b, c);
  for (let i = 0; i < 50; i++) await a.publish(text(`a${i}`));
  await b.publish(text("b"));
  await until("51 messages at c", () => boxes[2].length === 51);
  await until("50 messages at b", () => boxes[1].length === 50);
  await until("1 message at a", () => boxes[0].length === 1);
  await delay(50);
  assert.deepEqual(boxes.map((box) => box.length), [1, 50, 51]);
  assert.deepEqual(boxes[0], [{ from: b.publicKey.toHex(), text: "b" }]);
  const fromA = boxes[2].filter((m) => m.from === a.publicKey.toHex()).map((m) => m.text);
  assert.deepEqual(fromA, Array.from({ length: 50 }, (_, i) => `a${i}`));
  assert.ok(a.statistics().bytesSent > 0 && c.statistics().bytesReceived > 0);
});

Deno.test("a payload above the limit is refused with its size", async () => {
  await using a = await start(1);
  await assert.rejects(a.publish(new Uint8Array(4001)), { code: "MESSAGE_TOO_LARGE" });
  await a.publish(new Uint8Array(4000));
});

Deno.test("a peer that is not allowed gets no connection, and loses it with its place", async () => {
  await using a = await start(1);
  await using b = await start(2, { staticPeers: [staticPeer(a)] });
  await using stranger = await RawPeer.start(9);
  allowAll(a, b);
  await untilConnected(1, a, b);
  await assert.rejects(stranger.open(a));
  assert.equal(stranger.connections, 0);

  a.setAllowList([a.publicKey, b.publicKey, stranger.publicKey]);
  await stranger.open(a);
  assert.equal(stranger.connections, 1);
  a.setAllowList([a.publicKey, b.publicKey]);
  await until("the stranger is cut off", () => stranger.connections === 0);
  assert.equal(a.statistics().connectedPeers, 1);

  const box = inbox(a);
  await b.publish(text("still here"));
  await until("the others stay connected", () => box.length === 1);
});

Deno.test("forged, foreign, repeated and oversized messages are counted and not delivered", async () => {
  await using a = await start(1);
  await using b = await start(2);
  await using raw = await RawPeer.start(3);
  await using outsider = await RawPeer.start(4);
  const box = inbox(a);
  a.setAllowList([b.publicKey, raw.publicKey]);
  const topic = topicOfRun(RUN);
  const link = await raw.open(a);
  const send = (envelope: Uint8Array) => link.send(messageFrame([], envelope));
  const dropped = () => a.statistics().messagesDropped;

  const good = sealEnvelope(raw.signer, topic, text("good"));
  await send(good);
  await send(good); // replay
  const forged = sealEnvelope(raw.signer, topic, text("forged"));
  forged.set(b.publicKey, 0); // somebody else's name
  await send(forged);
  await send(sealEnvelope(raw.signer, topicOfRun("other run"), text("foreign")));
  await send(sealEnvelope(outsider.signer, topic, text("not on the list")));
  await send(new Uint8Array(4097));
  await send(new Uint8Array(10));
  await link.send(Uint8Array.of(77, 1, 2));
  await send(sealEnvelope(raw.signer, topic, text("end")));
  await until("the last message", () => box.at(-1)?.text === "end");
  assert.deepEqual(box.map((m) => m.text), ["good", "end"]);
  assert.deepEqual({ ...dropped() }, {
    duplicate: 1,
    bad_signature: 2,
    not_allowed: 1,
    malformed: 2,
    unknown_kind: 1,
  });
});

Deno.test("a message finds a peer that its author has no link to", async () => {
  await using a = await start(1);
  await using b = await start(2, { staticPeers: [staticPeer(a)] });
  await using c = await start(3, { staticPeers: [staticPeer(b)] });
  const box = inbox(c);
  // a and c allow each other, but c's records never name an address: they cannot meet directly.
  await using raw = await RawPeer.start(5);
  allowAll(a, b, c);
  await untilConnected(2, a, b, c);
  const mute = [a.publicKey, b.publicKey, c.publicKey, raw.publicKey];
  for (const network of [a, b, c]) network.setAllowList(mute);
  // raw is linked to b only; a's message must reach it through b.
  const seen: string[] = [];
  await raw.serve("/psyche/link/1", async (frames) => {
    while (true) {
      const frame = await frames.read(1 << 16);
      if (frame[0] === 0) seen.push(new TextDecoder().decode(frame.subarray(2 + 96)));
    }
  });
  await raw.open(b);
  await until("b links to raw", () => b.statistics().connectedPeers === 3);
  assert.equal(a.statistics().connectedPeers, 2);
  await a.publish(text("through b"));
  await until("the message at raw", () => seen.includes("through b"));
  await until("the message at c", () => box.length === 1);
  await delay(50);
  assert.equal(box.length, 1);
});

Deno.test("junk on the link harms nobody", async () => {
  await using a = await start(1);
  await using raw = await RawPeer.start(3);
  const box = inbox(a);
  a.setAllowList([raw.publicKey]);
  let link = await raw.open(a);
  await fc.assert(
    fc.asyncProperty(fc.nat(3), fc.uint8Array({ maxLength: 400 }), async (kind, body) => {
      const frame = new Uint8Array(1 + body.length);
      frame[0] = kind;
      frame.set(body, 1);
      await link.send(frame);
    }),
    { numRuns: 200 },
  );
  await link.send(new Uint8Array(70_000)); // above the limit: this stream ends, the peer stays
  await until("the stream is ended", () => !link.open);
  link = await raw.open(a);
  await link.send(messageFrame([], sealEnvelope(raw.signer, topicOfRun(RUN), text("sane"))));
  await until("a sane message", () => box.some((m) => m.text === "sane"));
});
