import assert from "node:assert/strict";
import { join } from "node:path";
import { sha256 } from "../protocol/sha256.ts";
import { signAddressRecord } from "./address_record.ts";
import {
  allowAll,
  inbox,
  RUN,
  seedOf,
  start,
  staticPeer,
  temporaryDirectory,
  until,
  untilConnected,
} from "./test_networks.ts";
import { createSigner } from "./signing.ts";
import { topicOfRun } from "./topic.ts";

Deno.test("clients that share a directory find each other, and leave nothing behind", async () => {
  await using directory = await temporaryDirectory();
  const book = join(directory.path, "peers"); // made by the first
  {
    await using a = await start(1, { addressBookDirectory: book });
    await using b = await start(2, { addressBookDirectory: book });
    allowAll(a, b);
    await untilConnected(1, a, b);
    // A third one starts later; nobody is told its address.
    await using c = await start(3, { addressBookDirectory: book });
    allowAll(a, b, c);
    await untilConnected(2, a, b, c);
    assert.equal([...Deno.readDirSync(book)].length, 3);
  }
  assert.deepEqual([...Deno.readDirSync(book)], []);
});

Deno.test("hostile and stale files in the directory do no harm", async () => {
  await using directory = await temporaryDirectory();
  const topic = topicOfRun(RUN);
  const name = (number: number) =>
    join(
      directory.path,
      `${createSigner(seedOf(number)).publicKey.toHex()}-${topic.subarray(0, 8).toHex()}.json`,
    );
  const stale = signAddressRecord(createSigner(seedOf(2)), topic, {
    sequence: 1,
    addresses: ["/ip4/127.0.0.1/tcp/1"],
    expires: Date.now() - 1,
  });
  const borrowed = signAddressRecord(createSigner(seedOf(4)), topic, {
    sequence: 1,
    addresses: ["/ip4/127.0.0.1/tcp/1"],
    expires: Date.now() + 60_000,
  });
  Deno.writeTextFileSync(name(2), stale.text);
  Deno.writeTextFileSync(name(3), "x".repeat(1 << 20));
  Deno.writeTextFileSync(name(4), borrowed.text.replace("127.0.0.1", "127.0.0.2"));
  Deno.mkdirSync(name(5));
  await using a = await start(1, { addressBookDirectory: directory.path });
  a.setAllowList([2, 3, 4, 5].map((n) => createSigner(seedOf(n)).publicKey));
  // The stale file is replaced by its owner, who is then found.
  await using b = await start(2, { addressBookDirectory: directory.path });
  b.setAllowList([a.publicKey]);
  await untilConnected(1, a, b);
});

Deno.test("one reachable peer is enough: late joiners meet through its records", async () => {
  await using hub = await start(1);
  const known = { staticPeers: [staticPeer(hub)] };
  await using b = await start(2, known);
  await using c = await start(3, known);
  allowAll(hub, b, c);
  await untilConnected(2, hub, b, c);
  await using late = await start(4, known);
  // The late joiner is allowed by the others only after it asked them: it has to try again.
  late.setAllowList([hub, b, c].map((n) => n.publicKey));
  await new Promise((resolve) => setTimeout(resolve, 300));
  allowAll(hub, b, c, late);
  await untilConnected(3, hub, b, c, late);
  const box = inbox(late);
  await c.publish(new Uint8Array(1));
  await until("a message from a peer found by exchange", () => box.length === 1);
});

Deno.test("a peer that restarts on another port is found again", async () => {
  await using directory = await temporaryDirectory();
  const options = { addressBookDirectory: directory.path };
  await using a = await start(1, options);
  const first = await start(2, options);
  allowAll(a, first);
  await untilConnected(1, a, first);
  await first.close();
  await untilConnected(0, a);
  await using second = await start(2, options);
  second.setAllowList([a.publicKey]);
  await untilConnected(1, a, second);
});

Deno.test("host names of static peers are resolved", async () => {
  await using a = await start(1);
  const named = staticPeer(a).replace("127.0.0.1", "localhost");
  await using b = await start(2, { staticPeers: [named] });
  allowAll(a, b);
  await untilConnected(1, a, b);
});

Deno.test("direct requests: answers, refusals, limits", async () => {
  await using a = await start(1);
  await using b = await start(2, { staticPeers: [staticPeer(a)] });
  allowAll(a, b);
  await untilConnected(1, a, b);
  const ask = (request: Uint8Array, maxSize = 100) => b.request(a.publicKey, request, { maxSize });
  await assert.rejects(ask(Uint8Array.of(1)), { code: "REQUEST_REFUSED" });
  a.onRequest((from, request) => {
    assert.deepEqual(from, b.publicKey);
    if (request[0] === 0) return Promise.reject(new Error("no such parameter"));
    return Promise.resolve(request[0] === 1 ? new Uint8Array(5000) : sha256(request));
  });
  assert.deepEqual(await ask(Uint8Array.of(2, 3)), sha256(Uint8Array.of(2, 3)));
  await assert.rejects(ask(Uint8Array.of(0)), {
    code: "REQUEST_REFUSED",
    message: /no such parameter/,
  });
  assert.equal((await ask(Uint8Array.of(1), 5000)).length, 5000);
  await assert.rejects(ask(Uint8Array.of(1), 4999), { code: "PEER_FRAME_TOO_LARGE" });
  await assert.rejects(ask(new Uint8Array(1001)), { code: "REQUEST_TOO_LARGE" });
  await assert.rejects(b.request(seedOf(7), Uint8Array.of(1), { maxSize: 1 }), {
    code: "PEER_NOT_ALLOWED",
  });
});

Deno.test("what cannot be started says so; what is closed stays closed", async () => {
  await assert.rejects(start(1, { staticPeers: ["nonsense"] }), { code: "STATIC_PEER_INVALID" });
  await using a = await start(1);
  const port = Number(a.addresses[0].split("/").at(-1));
  await assert.rejects(start(2, { listen: { host: "127.0.0.1", port } }), {
    code: "P2P_LISTEN_FAILED",
  });
  await a.close();
  await a.close();
  await assert.rejects(a.publish(new Uint8Array(1)), { code: "P2P_CLOSED" });
});

Deno.test("aborting the signal closes the network", async () => {
  const abort = new AbortController();
  await using a = await start(1);
  await using b = await start(2, { staticPeers: [staticPeer(a)], signal: abort.signal });
  allowAll(a, b);
  await untilConnected(1, a, b);
  abort.abort();
  await untilConnected(0, a);
});

Deno.test("announced addresses take the place of the ones listened on", async () => {
  const announce = [{ host: "client-1.example", port: 4001 }, { host: "::1", port: 4002 }];
  await using a = await start(1, { announce });
  assert.deepEqual(a.addresses, ["/dns/client-1.example/tcp/4001", "/ip6/::1/tcp/4002"]);
});
