/** A run whose owner changes model settings in a pause that the clients wait out. */
import assert from "node:assert/strict";
import { type Optimizer, RunState } from "../../lib/protocol/coordinator_state.ts";
import { updateRun } from "../../lib/protocol/transitions.ts";
import { NUMBERED, SimulatedRun } from "./simulated_run.ts";
import { SIMULATED_OPTIMIZER } from "./simulated_trainer.ts";

for (const after of ["training", "joining"]) {
  Deno.test(`settings that change in a pause after ${after} reach data and trainer`, async () => {
    let open = "Dummy";
    const run = new SimulatedRun({
      seed: 1,
      clients: 2,
      totalSteps: 12,
      data: {
        ...NUMBERED,
        ready: ({ model }) => model.dataLocation.kind === open,
        prepare({ model }) {
          open = model.dataLocation.kind;
          return Promise.resolve();
        },
      },
    });
    const joined = () =>
      run.clients.filter(({ events }) => events.some(({ type }) => type === "joined"));
    await run.until(({ progress }) =>
      after === "training" ? progress.step >= 3 : joined().length > 0
    );
    // Those have loaded their models.
    const observed = joined();
    run.chain.pause();
    await run.until(({ runState }) => runState === RunState.Paused);
    const { model } = run.chain.state;
    const optimizer = { ...SIMULATED_OPTIMIZER, compressionDecay: 0.9 } as Optimizer;
    const dataLocation = { kind: "Local", path: "elsewhere" } as const;
    updateRun(run.chain.state, { model: { ...model, dataLocation, optimizer } });
    run.chain.resume();
    assert.deepEqual(await run.finish(40_000), ["finished", "finished"]);
    assert.equal(open, "Local");
    assert.deepEqual(run.monitor.weights.differing, []);
    assert.ok(run.monitor.weights.compared >= 4);
    for (const { events } of observed) {
      // With the old settings, and with the new ones.
      assert.equal(events.filter((event) => event.type === "model_loaded").length, 2);
    }
  });
}
