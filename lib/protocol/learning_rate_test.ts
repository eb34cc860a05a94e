import assert from "node:assert/strict";
import { emptyCoordinatorState } from "./empty_state.ts";
import { coldStartBounds, coldStartFactor, learningRate, trainingRates } from "./learning_rate.ts";

const near = (actual: number, expected: number) =>
  assert.ok(
    Math.abs(actual - expected) <= 1e-15 * Math.max(1, Math.abs(expected)),
    `${actual} instead of ${expected}`,
  );

Deno.test("Cosine of section 1.1, rising again after its end", () => {
  const schedule = {
    kind: "Cosine",
    baseLr: 4e-4,
    warmupInitLr: 0,
    finalLr: 4e-5,
    warmupSteps: 250,
    totalSteps: 25000,
  } as const;
  const vectors = [
    [0, 0],
    [1, 1.6e-6],
    [125, 2e-4],
    [249, 3.984e-4],
    [250, 4e-4],
    [1000, 3.9918494606315524e-4],
    [12625, 2.2e-4],
    [25000, 4e-5],
  ];
  for (const [step, lr] of vectors) near(learningRate(schedule, step), lr);
  assert.ok(learningRate(schedule, 26000) > 4e-5);
  assert.throws(() => learningRate({ ...schedule, totalSteps: 250 }, 250), {
    code: "LEARNING_RATE_INVALID",
  });
});

Deno.test("WarmupStableDecay of section 1.1", () => {
  const schedule = {
    kind: "WarmupStableDecay",
    baseLr: 4e-4,
    warmupInitLr: 0,
    warmupSteps: 100,
    stableSteps: 200,
    cosineDecaySteps: 100,
    cosineDecayFinalLr: 1e-4,
    linearDecaySteps: 100,
    linearDecayFinalLr: 1e-5,
  } as const;
  const vectors = [
    [50, 2e-4],
    [100, 4e-4],
    [299, 4e-4],
    [300, 4e-4],
    [350, 2.5e-4],
    [400, 1e-4],
    [450, 5.5e-5],
    [500, 1e-5],
    [900, 1e-5],
  ];
  for (const [step, lr] of vectors) near(learningRate(schedule, step), lr);
  assert.throws(() => learningRate({ ...schedule, cosineDecayFinalLr: 1 }, 300), {
    code: "LEARNING_RATE_INVALID",
  });
});

Deno.test("Constant of section 1.1 and Linear", () => {
  const constant = {
    kind: "Constant",
    baseLr: 0.01,
    warmupInitLr: 0.001,
    warmupSteps: 10,
  } as const;
  for (const [step, lr] of [[0, 0.001], [5, 0.0055], [9, 0.0091], [10, 0.01], [1000, 0.01]]) {
    near(learningRate(constant, step), lr);
  }
  const linear = { ...constant, kind: "Linear", finalLr: 0, totalSteps: 20 } as const;
  for (const [step, lr] of [[10, 0.01], [15, 0.005], [20, 0], [99, 0]]) {
    near(learningRate(linear, step), lr);
  }
});

Deno.test("a cold start scales both rates from zero, section 1.3", () => {
  const state = emptyCoordinatorState("rates", "test");
  state.model.lrSchedule = { kind: "Constant", baseLr: 2, warmupInitLr: 2, warmupSteps: 0 };
  state.model.coldStartWarmupSteps = 4;
  state.epochState.startStep = 10;
  assert.equal(coldStartBounds(state), null);
  assert.deepEqual(trainingRates(state, 10), { lr: 2, previousLr: 2 });
  state.epochState.coldStartEpoch = true;
  assert.deepEqual(coldStartBounds(state), { start: 10, end: 14 });
  const factors = [9, 10, 11, 12, 14, 15].map((s) => coldStartFactor(coldStartBounds(state), s));
  assert.deepEqual(factors, [1, 0, 0.25, 0.5, 1, 1]);
  assert.deepEqual(trainingRates(state, 12), { lr: 1, previousLr: 1 });
  assert.deepEqual(trainingRates(emptyCoordinatorState("", ""), 0), { lr: 0, previousLr: 0 });
});
