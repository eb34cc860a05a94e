import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import type { ClientEvent } from "../events/event.ts";
import type { CoordinatorState, DataLocation } from "../protocol/coordinator_state.ts";
import { configuredRun } from "../protocol/state_fixture.ts";
import { tokenFile, withServer } from "../trainer/data/test_server.ts";
import { TrainingData } from "./training_data.ts";

const SAMPLES = fileURLToPath(
  new URL("../../tests/trainer/fixtures/parquet/samples/plain", import.meta.url),
);

/** Five steps of 8 sequences are left. */
function runWith(dataLocation: DataLocation, maxSeqLen = 4): CoordinatorState {
  const state = configuredRun({
    totalSteps: 6,
    globalBatchSizeStart: 8,
    globalBatchSizeEnd: 8,
  });
  state.progress.step = 1;
  Object.assign(state.model, { dataLocation, maxSeqLen });
  return state;
}

async function open(state: CoordinatorState, fetched: typeof fetch = fetch) {
  const events: ClientEvent[] = [];
  const data = new TrainingData({
    p2pSecret: new Uint8Array(32),
    hub: { fetch: fetched, cacheDirectory: "/nowhere" },
    gcs: {},
    fetch: fetched,
    emit: (event) => events.push(event),
  });
  await data.prepare(state, never);
  return { data, events };
}

const never = new AbortController().signal;

const http = (url: string): DataLocation => ({
  kind: "Http",
  location: { kind: "SingleUrl", url },
  tokenSizeInBytes: "TwoBytes",
  shuffle: { kind: "DontShuffle" },
});

Deno.test("every source says how many sequences there are and how long they last", () =>
  withServer({
    "/long.bin": tokenFile(0, 4 * 40 + 2),
    "/short.bin": tokenFile(0, 4 * 39 + 2),
  }, async ({ origin }) => {
    const endless = { type: "data_ready", sequences: null, steps: 5, steps_left: 5 };
    assert.deepEqual((await open(runWith({ kind: "Dummy" }))).events, [endless]);
    const preprocessed = runWith({ kind: "Preprocessed", path: SAMPLES }, 6);
    assert.deepEqual((await open(preprocessed)).events, [endless]);
    assert.deepEqual((await open(runWith(http(`${origin}/long.bin`)))).events, [
      { type: "data_ready", sequences: 40, steps: 5, steps_left: 5 },
    ]);
    const { events: [ready, warning] } = await open(runWith(http(`${origin}/short.bin`)));
    assert.deepEqual(ready, { type: "data_ready", sequences: 39, steps: 4, steps_left: 5 });
    assert.ok(warning.type === "warning" && warning.code === "DATA_TOO_SHORT");
    assert.match(warning.message, /39 sequences, which last for 4 of the 5 steps/);
    await assert.rejects(open(runWith({ kind: "Local", path: "/data" })), {
      code: "DATA_LOCATION_UNSUPPORTED",
      message: /data-server/,
    });
  }));

Deno.test("a failure that is tried again is told", () => {
  let failed = false;
  const failOnce = (request: Request) => {
    if (failed || request.method !== "GET") return undefined;
    failed = true;
    return new Response(null, { status: 503 });
  };
  return withServer({ "/t.bin": tokenFile(0, 400) }, async ({ origin }) => {
    const { data, events } = await open(runWith(http(`${origin}/t.bin`)));
    assert.equal(events.length, 1);
    await data.read({ start: 0n, end: 1n });
    const warning = events[1];
    assert.ok(warning.type === "warning" && warning.code === "DATA_RETRY");
    assert.match(warning.message, /status 503.*\(try 2 follows\)/);
  }, failOnce);
});

Deno.test("ranges of one batch that fail alike are told of once, and again for the next batch", () => {
  let failures = 0;
  const failFirst = (request: Request) =>
    request.method === "GET" && failures++ < 2 ? new Response(null, { status: 503 }) : undefined;
  return withServer({ "/t.bin": tokenFile(0, 400) }, async ({ origin }) => {
    const state = runWith(http(`${origin}/t.bin`));
    const { dataLocation } = state.model;
    assert.ok(dataLocation.kind === "Http");
    // Sequences far from each other, so each is a request of its own.
    dataLocation.shuffle = { kind: "Seeded", seed: new Uint8Array(32) };
    const { data, events } = await open(state);
    for (const told of [1, 2]) {
      failures = 0;
      await data.read({ start: 0n, end: 7n });
      assert.ok(failures > 2);
      assert.equal(events.filter(({ type }) => type === "warning").length, told);
    }
  }, failFirst);
});

Deno.test("a changed configuration opens other data, the same one nothing", () =>
  withServer({ "/t.bin": tokenFile(100, 400) }, async ({ origin, log }) => {
    const { data, events } = await open(runWith({ kind: "Dummy" }));
    const tokens = async () => [...(await data.read({ start: 0n, end: 0n })).tokens];
    assert.deepEqual(await tokens(), [0, 0, 0, 0]);
    const moved = runWith(http(`${origin}/t.bin`));
    assert.equal(data.ready(moved), false);
    await data.prepare(moved, never);
    assert.deepEqual(await tokens(), [100, 101, 102, 103]);
    const longer = runWith(http(`${origin}/t.bin`), 6);
    await data.prepare(longer, never);
    assert.equal((await tokens()).length, 6);
    const asked = log.length;
    assert.equal(data.ready(longer), true);
    await data.prepare(longer, never);
    assert.deepEqual([log.length, events.length], [asked, 3]);
    // What cannot be opened leaves nothing open: the old data would be the wrong ones.
    await assert.rejects(data.prepare(runWith({ kind: "Local", path: "x" }), never));
    await assert.rejects(tokens(), { code: "DATA_NOT_OPEN" });
  }));
