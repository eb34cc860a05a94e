/** Runs whose optimizer exchanges nothing: one client trains, others are turned away. */
import assert from "node:assert/strict";
import { RunModel } from "../../lib/client/model_source.ts";
import { companyProblem } from "../../lib/client/single_client.ts";
import { PsycheError } from "../../lib/error.ts";
import { ClientState, type Optimizer, RunState } from "../../lib/protocol/coordinator_state.ts";
import { emptyCoordinatorState } from "../../lib/protocol/empty_state.ts";
import { joinRun } from "../../lib/protocol/transitions.ts";
import { createFaults } from "./faults.ts";
import { SimulatedPeers } from "./simulated_peers.ts";
import { SimulatedTrainer } from "./simulated_trainer.ts";
import { SimulatedRun } from "./simulated_run.ts";

const ADAMW: Optimizer = {
  kind: "AdamW",
  betas: [0.9, 0.95],
  weightDecay: 0.1,
  eps: 1e-8,
  clipGradNorm: 1,
};
const SEED = 7;
const LIMIT = 40_000;

const roundsOf = ({ events }: SimulatedRun["clients"][number]) =>
  events.flatMap((event) => event.type === "trained" ? [`${event.epoch}/${event.round}`] : []);

Deno.test("alone through several epochs: the weights go on, nothing is loaded again", async () => {
  const options = { clients: 1, totalSteps: 24, epochTime: 14, optimizer: ADAMW };
  const run = new SimulatedRun({ seed: SEED, ...options });
  assert.deepEqual(await run.finish(LIMIT), ["finished"]);
  const [{ events }] = run.clients;
  assert.ok(run.monitor.epoch >= 2, `epoch ${run.monitor.epoch}`);
  assert.equal(events.filter((event) => event.type === "model_loaded").length, 1);
  assert.equal(events.filter((event) => event.type === "untrained_batch").length, 0);
  // Every round was trained exactly once.
  const rounds = roundsOf(run.clients[0]);
  assert.equal(new Set(rounds).size, rounds.length);
  assert.ok(rounds.length >= 12, `${rounds.length} rounds`);
});

Deno.test("alone on a chain that loses transactions and updates", async () => {
  const run = new SimulatedRun({
    seed: SEED,
    clients: 1,
    totalSteps: 10,
    optimizer: ADAMW,
    lostTransactions: 0.15,
    lostUpdates: 0.15,
  });
  assert.deepEqual(await run.finish(LIMIT), ["finished"]);
  assert.ok(roundsOf(run.clients[0]).length >= 5);
});

Deno.test("of two clients that start at once one trains to the end, the other says why not", async () => {
  const run = new SimulatedRun({ seed: SEED, clients: 1, totalSteps: 10, optimizer: ADAMW });
  run.start();
  const ends = await Promise.allSettled(run.clients.map(({ ended }) => ended));
  const failed = ends.flatMap((end) => end.status === "rejected" ? [end.reason] : []);
  assert.equal(failed.length, 1);
  assert.ok(failed[0] instanceof PsycheError);
  assert.equal(failed[0].code, "RUN_NEEDS_ONE_CLIENT");
  assert.deepEqual(ends.flatMap((end) => end.status === "fulfilled" ? [end.value] : []), [
    "finished",
  ]);
});

Deno.test("weights that were trained alone are kept, whatever peers hold and whatever was missed", async () => {
  const peers = new SimulatedPeers({
    faults: createFaults(SEED),
    lostMessages: 0,
    doubledMessages: 0,
    failedFetches: 0,
    delay: 0,
  });
  const [own, other] = [1, 2].map((n) => peers.join(new Uint8Array(32).fill(n)));
  other.onRequest(() => Promise.reject(new Error("nobody is to be asked")));
  const model = new RunModel({
    network: own,
    createTrainer: () => Promise.resolve(new SimulatedTrainer(() => 0, undefined, ADAMW)),
    resolveDirectory: () => Promise.resolve("simulated"),
    parameterShapes: () => [],
    microBatchSize: 1,
    threads: 1,
    emit: () => {},
  });
  const state = emptyCoordinatorState("alone", "test");
  const { signal } = new AbortController();
  const repo = { repoId: "simulated", revision: null };
  state.model.optimizer = ADAMW;
  state.model.checkpoint = { kind: "Hub", repo };
  const trainer = await model.load(state, signal, signal);
  assert.deepEqual(model.resultFormat().expected, []);
  model.trainingBegins();
  model.discard();
  state.model.checkpoint = { kind: "P2P", repo };
  state.epochState.clients = [own, other].map(({ publicKey }) => ({
    id: { signer: publicKey, p2pIdentity: publicKey },
    state: ClientState.Healthy,
    exitedHeight: 0,
  }));
  assert.equal(await model.load(state, signal, signal), trainer);
  await model.close();
  await Promise.all([own.close(), other.close()]);
});

Deno.test("who was first may stay, who comes later is told who is there", () => {
  const state = emptyCoordinatorState("alone", "test");
  Object.assign(state.config, { minClients: 1, initMinClients: 1, globalBatchSizeEnd: 8 });
  state.model.optimizer = ADAMW;
  const [one, two] = [1, 2].map((n) => new Uint8Array(32).fill(n));
  const join = (signer: Uint8Array) => {
    const clock = { unixTimestamp: 1n, slot: 1n, randomSeed: 1n };
    joinRun(state, { signer, p2pIdentity: signer }, clock);
  };
  assert.equal(companyProblem(state, one), null);
  join(one);
  assert.equal(companyProblem(state, one), null);
  assert.match(companyProblem(state, two)!, /client 01010101 takes part already/);
  join(two);
  assert.equal(companyProblem(state, one), null);
  assert.notEqual(companyProblem(state, two), null);

  state.runState = RunState.Finished;
  assert.equal(companyProblem(state, two), null);
  state.runState = RunState.Paused;
  state.config.initMinClients = 3;
  assert.match(companyProblem(state, one)!, /waits for 3.*min_clients and init_min_clients to 1/);
  state.model.optimizer = { kind: "Dummy" };
  assert.equal(companyProblem(state, one), null);
});
