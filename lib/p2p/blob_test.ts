import assert from "node:assert/strict";
import fc from "fast-check";
import { sha256 } from "../protocol/sha256.ts";
import { chunkCount, createManifest } from "./blob_manifest.ts";
import {
  answerBlobQuestion,
  BLOB_PROTOCOL,
  BlobAnswer,
  BlobQuestion,
  blobQuestion,
} from "./blob_protocol.ts";
import { BlobStore } from "./blob_store.ts";
import type { FrameStream } from "./frame_stream.ts";
import type { PeerNetwork } from "./peer_network.ts";
import { allowAll, delay, RawPeer, start, staticPeer, untilConnected } from "./test_networks.ts";

const MIB = 1 << 20;

function randomBytes(size: number): Uint8Array {
  const bytes = new Uint8Array(size);
  for (let i = 0; i < size; i += 65_536) crypto.getRandomValues(bytes.subarray(i, i + 65_536));
  return bytes;
}

/** A raw peer that serves `bytes` after `change` had its way with each answer. */
async function serveChanged(
  peer: RawPeer,
  bytes: Uint8Array,
  change: (question: Uint8Array, answer: Uint8Array, frames: FrameStream) => Promise<Uint8Array>,
): Promise<{ questions: number }> {
  const store = new BlobStore(1 << 30);
  store.put(bytes);
  const count = { questions: 0 };
  await peer.serve(BLOB_PROTOCOL, async (frames) => {
    while (true) {
      const question = await frames.read(64);
      count.questions++;
      await frames.send(await change(question, answerBlobQuestion(store, question), frames));
    }
  });
  return count;
}

async function fetchWith(
  network: PeerNetwork,
  bytes: Uint8Array,
  providers: Uint8Array[],
): Promise<Uint8Array> {
  const ticket = { hash: sha256(bytes), size: bytes.length };
  return await network.fetchBlob(ticket, { providers, maxSize: 1 << 30 });
}

Deno.test("blobs of all sizes arrive whole, and are served on by whoever fetched them", async () => {
  await using a = await start(1);
  await using b = await start(2, { staticPeers: [staticPeer(a)] });
  await using c = await start(3, { staticPeers: [staticPeer(b)] });
  allowAll(a, b, c);
  await untilConnected(2, a, b, c);
  for (const size of [0, 1, 1000, MIB - 1, MIB, MIB + 1, 5 * MIB + 7]) {
    const bytes = randomBytes(size);
    const ticket = await a.putBlob(bytes);
    assert.deepEqual(ticket, { hash: sha256(bytes), size });
    const fetched = await b.fetchBlob(ticket, { providers: [a.publicKey], maxSize: size });
    assert.deepEqual(sha256(fetched), ticket.hash);
    a.removeBlob(ticket.hash);
    const again = await c.fetchBlob(ticket, {
      providers: [a.publicKey, b.publicKey],
      maxSize: size,
    });
    assert.deepEqual(sha256(again), ticket.hash);
  }
});

Deno.test("tickets above the caller's limit and malformed ones are refused at once", async () => {
  await using a = await start(1);
  const fetchTicket = (hash: Uint8Array, size: number) =>
    a.fetchBlob({ hash, size }, { providers: [], maxSize: 100 });
  await assert.rejects(fetchTicket(new Uint8Array(32), 101), { code: "BLOB_TOO_LARGE" });
  await assert.rejects(fetchTicket(new Uint8Array(32), 2 ** 60), { code: "BLOB_TICKET_INVALID" });
  await assert.rejects(fetchTicket(new Uint8Array(32), -1), { code: "BLOB_TICKET_INVALID" });
  await assert.rejects(fetchTicket(new Uint8Array(31), 1), { code: "BLOB_TICKET_INVALID" });
  await assert.rejects(fetchTicket(new Uint8Array(32), 1), { code: "BLOB_UNAVAILABLE" });
});

Deno.test("a provider that dies mid-way: the next one continues with the missing chunks", async () => {
  const bytes = randomBytes(6 * MIB);
  await using dying = await RawPeer.start(11);
  await using good = await RawPeer.start(12);
  await serveChanged(dying, bytes, async (question, answer, frames) => {
    if (question[0] === BlobQuestion.Chunk && question[36] === 3) {
      await delay(20);
      frames.abort("died");
    }
    return answer;
  });
  const served = await serveChanged(good, bytes, (_, answer) => Promise.resolve(answer));
  await using a = await start(1, { staticPeers: [dying.staticPeer, good.staticPeer] });
  a.setAllowList([dying.publicKey, good.publicKey]);
  const fetched = await fetchWith(a, bytes, [dying.publicKey, good.publicKey]);
  assert.deepEqual(sha256(fetched), sha256(bytes));
  assert.ok(served.questions < 1 + 6, `${served.questions} questions: chunks were fetched twice`);
});

Deno.test("a provider that stalls is given up after the stall time", async () => {
  const bytes = randomBytes(2 * MIB);
  await using stalling = await RawPeer.start(11);
  await using good = await start(12);
  await serveChanged(stalling, bytes, async (_, answer) => {
    await delay(3000);
    return answer;
  });
  await good.putBlob(bytes);
  await using a = await start(1, {
    staticPeers: [stalling.staticPeer, staticPeer(good)],
    stallMs: 200,
  });
  a.setAllowList([stalling.publicKey, good.publicKey]);
  good.setAllowList([a.publicKey]);
  const began = performance.now();
  await fetchWith(a, bytes, [stalling.publicKey, good.publicKey]);
  const took = performance.now() - began;
  assert.ok(took >= 190 && took < 2500, `${took} ms`);
});

Deno.test("corrupt chunks, false manifests and wrong sizes are seen through", async () => {
  const bytes = randomBytes(3 * MIB);
  const fake = randomBytes(3 * MIB);
  await using flipping = await RawPeer.start(11);
  await using lying = await RawPeer.start(12);
  await using swollen = await RawPeer.start(13);
  await using good = await RawPeer.start(14);
  // One flips a bit of the last chunk, one serves another blob under a manifest that fits it,
  // one answers more than was asked for.
  await serveChanged(flipping, bytes, (question, answer) => {
    if (question[0] === BlobQuestion.Chunk && question[36] === 2) answer[500] ^= 1;
    return Promise.resolve(answer);
  });
  const lies = await serveChanged(lying, fake, (question) => {
    const store = new BlobStore(1 << 30);
    const { hash } = store.put(fake);
    return Promise.resolve(
      answerBlobQuestion(store, blobQuestion(question[0], hash, question[36])),
    );
  });
  await serveChanged(swollen, bytes, (_, answer) => {
    const more = new Uint8Array(answer.length + 1);
    more.set(answer);
    return Promise.resolve(more);
  });
  await serveChanged(good, bytes, (_, answer) => Promise.resolve(answer));
  const bad = [flipping, lying, swollen];
  for (const order of [[lying, flipping, swollen], [swollen, flipping, lying]]) {
    await using a = await start(1, { staticPeers: [...bad, good].map((p) => p.staticPeer) });
    a.setAllowList([...bad, good].map((p) => p.publicKey));
    const fetched = await fetchWith(a, bytes, [...order, good].map((p) => p.publicKey));
    assert.deepEqual(sha256(fetched), sha256(bytes));
    await assert.rejects(
      fetchWith(a, randomBytes(3 * MIB), order.map((p) => p.publicKey)),
      { code: "BLOB_UNAVAILABLE" },
    );
  }
  assert.ok(lies.questions > 0);
});

Deno.test("fetching stops on abort and on close", async () => {
  const bytes = randomBytes(2 * MIB);
  await using stalling = await RawPeer.start(11);
  await serveChanged(stalling, bytes, async (_, answer) => {
    await delay(2000);
    return answer;
  });
  await using a = await start(1, { staticPeers: [stalling.staticPeer] });
  a.setAllowList([stalling.publicKey]);
  const ticket = { hash: sha256(bytes), size: bytes.length };
  const options = { providers: [stalling.publicKey], maxSize: bytes.length };
  const abort = new AbortController();
  const aborted = a.fetchBlob(ticket, { ...options, signal: abort.signal });
  const closed = a.fetchBlob(ticket, options);
  const verdicts = Promise.all([
    assert.rejects(aborted, { message: "enough" }),
    assert.rejects(closed, { code: "P2P_CLOSED" }),
  ]);
  await delay(100);
  abort.abort(new Error("enough"));
  await a.close();
  await verdicts;
});

Deno.test("a peer that is not allowed any more is not asked", async () => {
  await using a = await start(1);
  await using b = await start(2, { staticPeers: [staticPeer(a)] });
  allowAll(a, b);
  await untilConnected(1, a, b);
  const bytes = randomBytes(10);
  await a.putBlob(bytes);
  b.setAllowList([]);
  await assert.rejects(fetchWith(b, bytes, [a.publicKey]), {
    code: "BLOB_UNAVAILABLE",
    message: /not in the allow list/,
  });
});

Deno.test("the store keeps its limit: fetched blobs make room, own ones stay", () => {
  const store = new BlobStore(100);
  const blob = (fill: number, size: number) => new Uint8Array(size).fill(fill);
  const own = store.put(blob(1, 40));
  store.keep(sha256(blob(2, 30)), blob(2, 30));
  store.keep(sha256(blob(3, 30)), blob(3, 30));
  assert.equal(store.bytes, 100);
  store.put(blob(4, 20));
  assert.equal(store.get(sha256(blob(2, 30))), null, "the longest held fetched blob went");
  assert.ok(store.get(sha256(blob(3, 30))) && store.get(own.hash));
  assert.throws(() => store.put(blob(5, 61)), { code: "BLOB_STORE_FULL" });
  assert.ok(store.get(sha256(blob(3, 30))), "nothing goes for what can never fit");
  store.keep(sha256(blob(6, 90)), blob(6, 90));
  assert.equal(store.get(sha256(blob(6, 90))), null);
  store.put(blob(1, 40));
  store.remove(own.hash);
  store.remove(own.hash);
  assert.equal(store.bytes, 50);
});

Deno.test("hostile blob questions are answered 'not held'", () => {
  const store = new BlobStore(1 << 20);
  const { hash } = store.put(randomBytes(10));
  const nearly = fc.tuple(fc.nat(255), fc.nat(0xffffffff)).map(([kind, index]) =>
    blobQuestion(kind, hash, index)
  );
  fc.assert(
    fc.property(fc.oneof(fc.uint8Array({ maxLength: 80 }), nearly), (question) => {
      const answer = answerBlobQuestion(store, question);
      const proper = question.length === 37 && question[0] <= 1 &&
        question.subarray(1, 33).toHex() === hash.toHex() &&
        (question[0] === 0 || question.subarray(33).every((byte) => byte === 0));
      assert.equal(answer[0], proper ? BlobAnswer.Held : BlobAnswer.NotHeld);
    }),
    { numRuns: 300 },
  );
});

Deno.test("a manifest has one hash a chunk", () => {
  const bytes = randomBytes(2 * MIB + 1);
  const manifest = createManifest(bytes);
  assert.equal(manifest.length, 32 * chunkCount(bytes.length));
  assert.deepEqual(manifest.subarray(64), sha256(bytes.subarray(2 * MIB)));
});
