/**
 * A client that cannot get the model from peers, because they are gone, leaves that epoch and comes
 * back: docs/protocol/docker.md section 7, scenario 9. It never ends, and nothing waits for it.
 */
import assert from "node:assert/strict";
import { PsycheError } from "../../lib/error.ts";
import { RunState } from "../../lib/protocol/coordinator_state.ts";
import { SimulatedRun } from "./simulated_run.ts";

const SEED = Number(
  Deno.env.get("PSYCHE_TEST_SEED") ?? crypto.getRandomValues(new Uint16Array(1))[0],
);
const LIMIT = 40_000;

for (
  const [how, disappear] of [
    ["is killed", "kill"],
    ["falls silent", "sleep"],
  ] as const
) {
  Deno.test(`the only peer ${how} at the end of the epoch: the other begins from the checkpoint`, async () => {
    console.log(`fault seed ${SEED}`);
    const run = new SimulatedRun({ seed: SEED, clients: 1, totalSteps: 60, epochTime: 14 });
    const [first] = run.clients;
    await run.until((state) => state.runState === RunState.RoundTrain);
    const second = run.start();
    await run.until((state) => state.runState === RunState.Cooldown);
    // It may have joined the next epoch already, whose members are then one that is gone and one new.
    if (disappear === "kill") first.kill();
    else first.sleep(true);
    const reason = await Promise.race([
      second.ended,
      new Promise((resolve) => setTimeout(() => resolve("stuck"), LIMIT)),
    ]);
    first.kill();
    await first.ended;
    assert.equal(reason, "finished", JSON.stringify(second.events.slice(-20)));
    const loaded = second.events.find((event) => event.type === "model_loaded");
    assert.equal(loaded?.source, "simulated");
    for (const event of second.events) {
      if (event.type === "left_epoch") assert.match(event.reason, /model|warmup/);
    }
  });
}

Deno.test("a model from peers that is too large ends the client, with the numbers, at the first attempt", async () => {
  console.log(`fault seed ${SEED}`);
  const run = new SimulatedRun({ seed: SEED, clients: 1, totalSteps: 60, epochTime: 14 });
  const [first] = run.clients;
  await run.until((state) => state.runState === RunState.RoundTrain);
  const second = run.start(new PsycheError("MODEL_TOO_LARGE", "Only 2.0 GB are free."));
  await assert.rejects(second.ended, { code: "MODEL_TOO_LARGE" });
  assert.ok(second.events.some(({ type }) => type === "joined"));
  assert.ok(!second.events.some(({ type }) => type === "left_epoch"));
  first.kill();
  await first.ended;
});
