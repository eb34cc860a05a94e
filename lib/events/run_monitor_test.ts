import assert from "node:assert/strict";
import type { ClientEvent } from "./event.ts";
import { RunMonitor } from "./run_monitor.ts";

function applied(round: number, weights: string): ClientEvent {
  return {
    type: "applied",
    epoch: 0,
    round,
    step: round + 1,
    results: 2,
    milliseconds: 1,
    weights_fingerprint: weights,
  };
}

function trained(step: number, sequences: number, loss: number): ClientEvent {
  return {
    type: "trained",
    epoch: 0,
    round: step - 1,
    step,
    batch: "B0",
    sequences,
    tokens: sequences * 4,
    loss,
    milliseconds: 100,
    bytes: 10,
    bytes_dense: 1000,
  };
}

Deno.test("the loss of a step is the mean over all sequences of all clients", () => {
  const monitor = new RunMonitor();
  monitor.add({ ...trained(1, 3, 2), time: 1000, client: "A" });
  monitor.add({ ...trained(1, 1, 6), time: 1100, client: "B" });
  monitor.add({ ...trained(2, 2, 1), time: 1900, client: "A" });
  assert.deepEqual(monitor.steps.map(({ step, loss }) => [step, loss]), [[1, 3], [2, 1]]);
  assert.equal(monitor.tokensPerSecond, 24);
});

Deno.test("weights are equal only when every compared round agrees, and something was compared", () => {
  const monitor = new RunMonitor();
  monitor.add({ ...applied(0, "x"), time: 1, client: "A" });
  assert.deepEqual(monitor.weights, { equal: true, compared: 0, differing: [] });
  monitor.add({ type: "waiting", reason: "", time: 1, client: "B" });
  assert.deepEqual(monitor.weights, { equal: false, compared: 0, differing: [] });
  monitor.add({ ...applied(0, "x"), time: 2, client: "B" });
  assert.equal(monitor.weights.equal, true);
  monitor.add({ ...applied(1, "y"), time: 3, client: "A" });
  monitor.add({ ...applied(1, "z"), time: 4, client: "B" });
  assert.deepEqual(monitor.weights, { equal: false, compared: 2, differing: ["0/1"] });
});
