import assert from "node:assert/strict";
import fc from "fast-check";
import { batchSizeAt, dataIndexForStep } from "./batch_size.ts";
import { RunState } from "./coordinator_state.ts";
import { dataSpan } from "./data_span.ts";
import { seed } from "./property_seed.ts";
import { configuredRun } from "./state_fixture.ts";

Deno.test("data lasts exactly as long as whole steps fit", () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 20 }),
      fc.nat(20),
      fc.nat(3000),
      fc.integer({ min: 1, max: 60 }),
      fc.nat(2000),
      (start, more, ramp, totalSteps, sequences) => {
        const state = configuredRun({
          globalBatchSizeStart: start,
          globalBatchSizeEnd: start + more,
          globalBatchSizeWarmupTokens: BigInt(64 * ramp),
          totalSteps,
        });
        state.progress.step = 1;
        let at = 0;
        let steps = 0;
        for (;; steps++) {
          at += batchSizeAt(state.config, BigInt(at), 64);
          if (steps === totalSteps - 1 || at > sequences) break;
        }
        const span = dataSpan(state, sequences);
        assert.deepEqual([span.steps, span.stepsLeft], [steps, totalSteps - 1]);
        assert.equal(span.shortage === null, steps === totalSteps - 1);
      },
    ),
    { seed: seed() },
  );
});

Deno.test("a run that has trained already counts from where it is", () => {
  const state = configuredRun({ totalSteps: 50 });
  state.progress.step = 20;
  const index = dataIndexForStep(state.config, 64, 20);
  state.progress.epochStartDataIndex = index;
  assert.equal(dataSpan(state, Number(index) + 8 * 12 + 7).steps, 12);
  state.runState = RunState.RoundTrain;
  state.epochState.rounds[0].dataIndex = index + 16n;
  assert.match(dataSpan(state, Number(index) + 8 * 12).shortage!, /10 of the 30 steps/);
  assert.equal(dataSpan(state, 0).steps, 0);
  assert.deepEqual(dataSpan(state, Infinity), {
    sequences: null,
    steps: 30,
    stepsLeft: 30,
    shortage: null,
  });
});
