import assert from "node:assert/strict";
import fc from "fast-check";
import { seed } from "../../protocol/property_seed.ts";
import { type ByteConnection, TcpFrames } from "./tcp_frames.ts";

const LIMITS = { stallMs: 1000 };

/** A connection that delivers `bytes` in pieces of these sizes, over and over, then ends or waits. */
function piecemeal(bytes: Uint8Array, sizes: number[], then: "end" | "wait" = "end") {
  let at = 0;
  let turn = 0;
  let closed = 0;
  const written: number[] = [];
  const waiting = Promise.withResolvers<null>();
  const connection: ByteConnection = {
    read(into) {
      if (at === bytes.length) return then === "end" ? Promise.resolve(null) : waiting.promise;
      const count = Math.min(into.length, bytes.length - at, sizes[turn++ % sizes.length]);
      into.set(bytes.subarray(at, at + count));
      at += count;
      return Promise.resolve(count);
    },
    write(piece) {
      const count = Math.min(piece.length, sizes[turn++ % sizes.length]);
      written.push(...piece.subarray(0, count));
      return Promise.resolve(count);
    },
    close() {
      closed++;
      waiting.reject(new Deno.errors.BadResource("closed"));
    },
  };
  waiting.promise.catch(() => {});
  return { connection, written, closed: () => closed };
}

Deno.test("frames survive whatever pieces the network makes of them", async () => {
  const sizes = fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1, maxLength: 5 });
  await fc.assert(
    fc.asyncProperty(fc.array(fc.uint8Array({ maxLength: 40 })), sizes, async (frames, sizes) => {
      const sender = piecemeal(new Uint8Array(), sizes);
      const out = new TcpFrames(sender.connection);
      for (const frame of frames) await out.send(frame, LIMITS);
      const receiver = piecemeal(Uint8Array.from(sender.written), sizes);
      const into = new TcpFrames(receiver.connection);
      for (const frame of frames) assert.deepEqual(await into.read(40, LIMITS), frame);
      await assert.rejects(into.read(40, LIMITS), { code: "DATA_CONNECTION_LOST" });
      assert.equal(receiver.closed(), 1);
    }),
    { seed: seed() },
  );
});

Deno.test("too large, cut off, silent, given up: the connection is closed once", async () => {
  const cases: [bytes: number[], then: "end" | "wait", code: string][] = [
    [[255, 255, 255, 255, 1], "wait", "DATA_FRAME_TOO_LARGE"],
    [[0, 0, 0, 17], "wait", "DATA_FRAME_TOO_LARGE"],
    [[0, 0, 0, 5, 1, 2], "end", "DATA_CONNECTION_LOST"],
    [[0, 0], "end", "DATA_CONNECTION_LOST"],
    [[0, 0, 0, 5, 1, 2], "wait", "DATA_CONNECTION_LOST"],
    [[], "wait", "DATA_CONNECTION_LOST"],
  ];
  for (const [bytes, then, code] of cases) {
    const { connection, closed } = piecemeal(Uint8Array.from(bytes), [3], then);
    const frames = new TcpFrames(connection);
    await assert.rejects(frames.read(16, { stallMs: 20 }), { code });
    frames.close();
    assert.equal(closed(), 1);
    await assert.rejects(frames.read(16, { stallMs: 20 }), { code: "DATA_CONNECTION_LOST" });
    await assert.rejects(frames.send(new Uint8Array(1), LIMITS), { code: "DATA_CONNECTION_LOST" });
  }
});

Deno.test("one byte at a time does not get round the time for a whole frame", async () => {
  const { connection } = piecemeal(Uint8Array.of(0, 0, 1, 0, ...new Uint8Array(256)), [1]);
  let timer: ReturnType<typeof setTimeout> | undefined;
  const slow: ByteConnection = {
    ...connection,
    read: (into) =>
      new Promise((resolve) => timer = setTimeout(() => resolve(connection.read(into)), 15)),
  };
  const started = performance.now();
  const frames = new TcpFrames(slow);
  await assert.rejects(frames.read(1 << 20, { stallMs: 1000, totalMs: 200 }), {
    code: "DATA_CONNECTION_LOST",
  });
  const taking: ByteConnection = {
    ...connection,
    write: () => new Promise((resolve) => timer = setTimeout(() => resolve(1), 15)),
  };
  await assert.rejects(
    new TcpFrames(taking).send(new Uint8Array(1 << 20), { stallMs: 1000, totalMs: 200 }),
    { code: "DATA_CONNECTION_LOST" },
  );
  clearTimeout(timer);
  assert.ok(performance.now() - started < 1900);
});

Deno.test("an abort ends what waits with its reason", async () => {
  const stop = new AbortController();
  const { connection, closed } = piecemeal(new Uint8Array(), [1], "wait");
  const frames = new TcpFrames(connection, stop.signal);
  const reading = frames.read(16, LIMITS);
  stop.abort("enough");
  await assert.rejects(reading, (reason) => reason === "enough");
  assert.equal(closed(), 1);
});
