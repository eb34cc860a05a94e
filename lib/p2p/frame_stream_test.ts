import assert from "node:assert/strict";
import fc from "fast-check";
import { sha256 } from "../protocol/sha256.ts";
import type { FrameStream } from "./frame_stream.ts";
import { allowAll, delay, RawPeer, start, staticPeer, untilConnected } from "./test_networks.ts";

const PROTOCOL = "/psyche/test/1";
const MIB = 1 << 20;

/** Two raw peers; the second runs `serve` on the stream that is handed to `body`. */
async function between(
  serve: (frames: FrameStream) => Promise<void>,
  body: (frames: FrameStream) => Promise<void>,
): Promise<void> {
  await using a = await RawPeer.start(1);
  await using b = await RawPeer.start(2);
  await b.serve(PROTOCOL, serve);
  await body(await a.dial(b, PROTOCOL));
}

async function echo(frames: FrameStream): Promise<void> {
  while (true) await frames.send(await frames.read(8 * MIB));
}

Deno.test("frames of any size come back as they were sent, in order", () =>
  between(echo, async (frames) => {
    const size = fc.oneof(fc.nat(300), fc.integer({ min: 65_530, max: 65_545 }), fc.nat(3 * MIB));
    await fc.assert(
      fc.asyncProperty(fc.array(size, { maxLength: 4 }), async (sizes) => {
        const sent = sizes.map((size, i) => new Uint8Array(size).fill(i + size));
        // Not awaited before reading: an echo that nobody reads holds up what it echoes.
        const sending = (async () => {
          for (const frame of sent) await frames.send(frame);
        })();
        for (const frame of sent) {
          assert.deepEqual(sha256(await frames.read(8 * MIB)), sha256(frame));
        }
        await sending;
      }),
      { numRuns: 15 },
    );
  }));

Deno.test("a slow reader slows the sender down instead of filling its memory", async () => {
  let sent = 0;
  const flood = async (frames: FrameStream) => {
    for (let i = 0; i < 40; i++) {
      await frames.send(new Uint8Array(MIB).fill(i));
      sent++;
    }
    await frames.finish();
  };
  await between(flood, async (frames) => {
    await delay(300);
    assert.ok(sent <= 8, `${sent} MiB sent while nobody read`);
    for (let i = 0; i < 40; i++) {
      const frame = await frames.read(MIB);
      assert.ok(frame.length === MIB && frame[0] === i && frame[MIB - 1] === i);
      if (i % 10 === 0) await delay(20);
    }
    await assert.rejects(frames.read(MIB), { code: "PEER_STREAM_CLOSED" });
  });
});

Deno.test("a frame above the limit is refused by its header alone", () =>
  between(echo, async (frames) => {
    await frames.send(new Uint8Array(101));
    await assert.rejects(frames.read(100), { code: "PEER_FRAME_TOO_LARGE" });
  }));

Deno.test("a silent peer and a dripping peer are given up; an abort is passed on", async () => {
  await between(() => delay(1000), async (frames) => {
    await assert.rejects(frames.read(10, { stallMs: 50 }), { code: "PEER_TIMEOUT" });
    await assert.rejects(frames.read(10, { totalMs: 50 }), { code: "PEER_TIMEOUT" });
    const signal = AbortSignal.timeout(20);
    await assert.rejects(frames.read(10, { signal }), { name: "TimeoutError" });
  });
});

Deno.test("traffic is counted on both sides", async () => {
  await using a = await start(1);
  await using b = await start(2, { staticPeers: [staticPeer(a)] });
  allowAll(a, b);
  await untilConnected(1, a, b);
  const before = [a.statistics(), b.statistics()];
  const ticket = await a.putBlob(new Uint8Array(1000));
  await b.fetchBlob(ticket, { providers: [a.publicKey], maxSize: 1000 });
  assert.ok(a.statistics().bytesSent >= before[0].bytesSent + 1000);
  assert.ok(b.statistics().bytesReceived >= before[1].bytesReceived + 1000);
});
