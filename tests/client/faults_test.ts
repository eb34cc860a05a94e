/**
 * Clients on a network that loses, doubles and delays messages, with a chain that loses transactions
 * and updates. Whatever happens, clients that took part in a round hold the same weights after it.
 * A failure prints the seed; PSYCHE_TEST_SEED=<seed> runs the same schedule again.
 */
import assert from "node:assert/strict";
import { PsycheError } from "../../lib/error.ts";
import { RunState } from "../../lib/protocol/coordinator_state.ts";
import { updateClientVersion } from "../../lib/protocol/transitions.ts";
import { SimulatedRun, type SimulatedRunOptions } from "./simulated_run.ts";

const SEED = Number(
  Deno.env.get("PSYCHE_TEST_SEED") ?? crypto.getRandomValues(new Uint16Array(1))[0],
);
const LIMIT = 60_000;

function simulate(options: Omit<SimulatedRunOptions, "seed">): SimulatedRun {
  console.log(`fault seed ${SEED}`);
  return new SimulatedRun({ seed: SEED, ...options });
}

/** On a busy machine rounds end before everybody has every result; those are not compared. */
function assertEqualWeights(run: SimulatedRun, atLeast: number): void {
  const { equal, compared, differing } = run.monitor.weights;
  assert.deepEqual(differing, [], "rounds after which clients held different weights");
  assert.ok(equal && compared >= atLeast, `${compared} rounds compared`);
}

Deno.test("without faults every client finishes and all hold the same weights", async () => {
  const run = simulate({ clients: 4, totalSteps: 12 });
  assert.deepEqual(await run.finish(LIMIT), ["finished", "finished", "finished", "finished"]);
  assertEqualWeights(run, 6);
  for (const { events } of run.clients) {
    assert.equal(events.filter((event) => event.type === "untrained_batch").length, 0);
  }
});

Deno.test("several epochs: members rejoin and keep their weights", async () => {
  const run = simulate({ clients: 3, totalSteps: 24, epochTime: 14 });
  assert.deepEqual(await run.finish(LIMIT), ["finished", "finished", "finished"]);
  assertEqualWeights(run, 6);
  assert.ok(run.monitor.epoch >= 2, `epoch ${run.monitor.epoch}`);
  for (const { events } of run.clients) {
    assert.equal(events.filter((event) => event.type === "model_loaded").length, 1);
  }
});

Deno.test("lost, doubled and delayed messages and failing fetches", async () => {
  const run = simulate({
    clients: 4,
    totalSteps: 10,
    minClients: 2,
    lostMessages: 0.1,
    doubledMessages: 0.3,
    failedFetches: 0.2,
  });
  assert.deepEqual(await run.finish(LIMIT), ["finished", "finished", "finished", "finished"]);
  assertEqualWeights(run, 2);
});

Deno.test("lost transactions and updates", async () => {
  const run = simulate({
    clients: 3,
    totalSteps: 10,
    minClients: 1,
    lostTransactions: 0.15,
    lostUpdates: 0.15,
  });
  assert.deepEqual(await run.finish(LIMIT), ["finished", "finished", "finished"]);
  assertEqualWeights(run, 1);
});

Deno.test("a client that vanishes is dropped and the others go on", async () => {
  const run = simulate({ clients: 4, totalSteps: 16, minClients: 2 });
  await run.until((state) => state.progress.step >= 4);
  run.clients[1].kill();
  await run.until((state) => state.epochState.exitedClients.length >= 1);
  const reasons = await run.finish(LIMIT);
  assert.deepEqual(reasons, ["finished", "interrupted", "finished", "finished"]);
  assertEqualWeights(run, 6);
});

Deno.test("a peer whose bytes are wrong is not used, and the rest agree", async () => {
  const run = simulate({ clients: 4, totalSteps: 24, minClients: 2 });
  run.clients[2].peer.corrupt = (bytes) => {
    const wrong = bytes.slice();
    wrong[wrong.length >> 1] ^= 1;
    return wrong;
  };
  const reasons = await run.finish(LIMIT);
  assert.deepEqual(reasons.filter((_, i) => i !== 2), ["finished", "finished", "finished"]);
  assertEqualWeights(run, 5);
});

Deno.test("a late client takes the weights of its peers and trains with them", async () => {
  const run = simulate({ clients: 3, totalSteps: 24, epochTime: 30, minClients: 2 });
  await run.until((state) => state.progress.step >= 3);
  const late = run.start();
  assert.deepEqual(await run.finish(LIMIT), ["finished", "finished", "finished", "finished"]);
  assertEqualWeights(run, 8);
  assert.ok(late.events.some((event) => event.type === "model_loaded" && event.source === "peers"));
  assert.ok(late.events.some((event) => event.type === "applied"));
});

Deno.test("a run that is given another client version while paused ends the client with exit code 10", async () => {
  const run = simulate({ clients: 2, totalSteps: 1000, clientVersion: "v1" });
  await run.until((state) => state.progress.step >= 3);
  const refused = run.clients.map(({ ended }) =>
    assert.rejects(
      ended,
      (error: unknown) =>
        error instanceof PsycheError && error.code === "CLIENT_VERSION_MISMATCH" &&
        error.exitCode === 10,
    )
  );
  run.chain.pause();
  await run.until((state) => state.runState === RunState.Paused);
  updateClientVersion(run.chain.state, "v2");
  run.chain.resume();
  await Promise.all(refused);
});

Deno.test("a pause is waited out, and the next group starts from the checkpoint again", async () => {
  const run = simulate({ clients: 3, totalSteps: 14 });
  await run.until((state) => state.progress.step >= 5);
  run.chain.pause();
  await run.until((state) => state.runState === RunState.Paused);
  run.chain.resume();
  assert.deepEqual(await run.finish(LIMIT), ["finished", "finished", "finished"]);
  assertEqualWeights(run, 4);
  for (const { events } of run.clients) {
    assert.equal(events.filter((event) => event.type === "model_loaded").length, 2);
  }
});

Deno.test("a client that was dropped while it slept touches no weights until it has those of its peers", async () => {
  const options = { clients: 4, minClients: 2, initMinClients: 2, totalSteps: 80, epochTime: 45 };
  const run = simulate(options);
  await run.until(({ progress, epochState }) =>
    progress.step >= 4 && epochState.clients.length === 4
  );
  const [sleeper] = run.clients;
  const { epoch } = run.chain.state.progress;
  sleeper.sleep(true);
  const signer = new Uint8Array(32).fill(101).toHex();
  // On a busy machine the epoch may end before somebody reports it.
  await run.until(({ progress, epochState }) =>
    epochState.exitedClients.some(({ id }) => id.signer.toHex() === signer) ||
    progress.epoch > epoch
  );
  const awake = sleeper.events.length;
  sleeper.sleep(false);
  assert.deepEqual(await run.finish(LIMIT), ["finished", "finished", "finished", "finished"]);
  assertEqualWeights(run, 10);
  const news = sleeper.events.slice(awake);
  const loaded = news.find((event) => event.type === "model_loaded");
  assert.equal(loaded?.type === "model_loaded" && loaded.source, "peers");
  const left = Math.max(0, news.findIndex((event) => event.type === "left_epoch"));
  const between = news.slice(left, news.indexOf(loaded!));
  assert.ok(!between.some((event) => event.type === "applied"));
});

Deno.test("a client that slept through an epoch takes the weights of the one who did not", async () => {
  const run = simulate({
    clients: 2,
    totalSteps: 60,
    minClients: 1,
    initMinClients: 1,
    epochTime: 14,
  });
  await run.until((state) => state.progress.epoch >= 1 && state.epochState.clients.length === 2);
  run.clients[0].sleep(true);
  const { epoch } = run.chain.state.progress;
  await run.until((state) => state.progress.epoch >= epoch + 2);
  run.clients[0].sleep(false);
  assert.deepEqual(await run.finish(LIMIT), ["finished", "finished"]);
  assertEqualWeights(run, 10);
  const loads = run.clients.map(({ events }) =>
    events.flatMap((event) => event.type === "model_loaded" ? [event.source] : [])
  );
  assert.deepEqual(loads[1].slice(1), [], "the weights of the one who was there changed");
  assert.ok(loads[0].slice(1).includes("peers"), "the sleeper kept its weights");
});
