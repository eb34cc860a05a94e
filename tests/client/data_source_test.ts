/**
 * What comes from a client's data source, and sources that are slow or fail;
 * docs/protocol/client-lifecycle.md section 7.3. Who trains nothing in a round is reported by the
 * others as for any other reason, and joins the next epoch.
 */
import assert from "node:assert/strict";
import { PsycheError } from "../../lib/error.ts";
import type { TrainRequest } from "../../lib/trainer/trainer.ts";
import { NUMBERED, SimulatedRun } from "./simulated_run.ts";
import { SimulatedTrainer } from "./simulated_trainer.ts";

const LIMIT = 40_000;
const SEED = crypto.getRandomValues(new Uint16Array(1))[0];

Deno.test("data that cannot be read stay untrained, and the run goes on", async () => {
  console.log(`fault seed ${SEED}`);
  let reads = 0;
  const run = new SimulatedRun({
    seed: SEED,
    clients: 3,
    totalSteps: 10,
    data: {
      // Every fourth batch, whoever asks for it.
      read: (batch, signal) =>
        ++reads % 4 === 0
          ? Promise.reject(new PsycheError("DATA_UNAVAILABLE", "The disk is gone."))
          : NUMBERED.read(batch, signal),
    },
  });
  assert.deepEqual(await run.finish(LIMIT), ["finished", "finished", "finished"]);
  const { equal, compared } = run.monitor.weights;
  assert.ok(equal && compared >= 2, `${compared} rounds compared`);
  const events = run.clients.flatMap((client) => client.events);
  const warnings = events.filter((event) => event.type === "warning");
  assert.ok(warnings.length >= 3);
  for (const warning of warnings) {
    assert.deepEqual([warning.code, warning.message], ["DATA_UNAVAILABLE", "The disk is gone."]);
  }
  assert.ok(events.some((event) => event.type === "untrained_batch"));
});

Deno.test("a source that answers too late costs its batches, not the client", async () => {
  console.log(`fault seed ${SEED}`);
  let reads = 0;
  let cutOff = 0;
  const run = new SimulatedRun({
    seed: SEED,
    clients: 2,
    totalSteps: 7,
    data: {
      read(batch, signal) {
        if (++reads % 5 !== 0) return NUMBERED.read(batch, signal);
        return new Promise((_, reject) =>
          signal!.addEventListener("abort", () => {
            cutOff++;
            reject(signal!.reason);
          })
        );
      },
    },
  });
  assert.deepEqual(await run.finish(LIMIT), ["finished", "finished"]);
  assert.ok(cutOff >= 1);
  assert.ok(run.monitor.weights.equal && run.monitor.weights.compared >= 1);
});

Deno.test("data that can never be read end the client, with the reason", async () => {
  const run = new SimulatedRun({
    seed: SEED,
    clients: 1,
    totalSteps: 7,
    data: {
      read: () => Promise.reject(new PsycheError("TOKEN_OUT_OF_RANGE", "Token 70000.")),
    },
  });
  await assert.rejects(run.clients[0].ended, { code: "TOKEN_OUT_OF_RANGE" });
});

Deno.test("labels, positions and packed lengths come to the trainer as the source gave them", async () => {
  const given = {
    labels: Int32Array.of(-100, 3),
    positionIds: Int32Array.of(0, 7),
    sequenceLengths: [[1], [1]],
  };
  const requests: TrainRequest[] = [];
  const { train } = SimulatedTrainer.prototype;
  SimulatedTrainer.prototype.train = function (request, signal) {
    requests.push(request);
    return train.call(this, request, signal);
  };
  try {
    const run = new SimulatedRun({
      seed: SEED,
      clients: 1,
      totalSteps: 5,
      data: { read: async (batch) => ({ ...await NUMBERED.read(batch), ...given }) },
    });
    assert.deepEqual(await run.finish(LIMIT), ["finished"]);
  } finally {
    SimulatedTrainer.prototype.train = train;
  }
  assert.ok(requests.length >= 4);
  for (const { labels, positionIds, sequenceLengths, tokens, batch } of requests) {
    assert.deepEqual({ labels, positionIds, sequenceLengths }, given);
    assert.equal(tokens.length, batch);
  }
});
