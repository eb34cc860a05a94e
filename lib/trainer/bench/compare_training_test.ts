import assert from "node:assert/strict";
import { nanoConfig } from "../model/llama_config.ts";
import { compareTraining } from "./compare_training.ts";
import { JaxRival } from "./jax_rival.ts";
import type { Measurement } from "./contestant.ts";
import { comparisonLines, missedGoals } from "./report.ts";
import { compareSteps } from "./times.ts";

Deno.test("a tiny model is measured in processes of their own, and judged", async () => {
  const config = { ...nanoConfig(32), hiddenSize: 32, intermediateSize: 64, layers: 1 };
  const measured = await compareTraining(
    { name: "tiny", config, batch: 2, sequenceLength: 16, small: true },
    { repetitions: 1, threads: 1, python: null, jax: false },
  );
  assert.equal(measured.tokens, 32);
  assert.equal(measured.torch, null);
  assert.equal(measured.jax, null);
  assert.ok(measured.step.min > 0 && measured.product.min > measured.step.min);
  assert.ok(measured.kernelShare > 0 && measured.scriptShare > 0);
  assert.ok(measured.kernelShare + measured.scriptShare < 1);
  assert.ok(measured.efficiency.min > 0 && measured.efficiency.median > 0);
  assert.ok(measured.distroShare > 0 && measured.distroShare < 1);
  assert.ok(measured.peakBytes > 50e6 && measured.peakBytes < 2e9);
  assert.match(comparisonLines(measured).join("\n"), /tiny: 0\.01M parameters, 32 tokens a step/);

  const good = {
    ...measured,
    efficiency: { min: 0.6, median: 0.7 },
    distroShare: 0.1,
    scriptShare: 0.01,
  };
  assert.deepEqual(missedGoals(good), []);
  assert.equal(missedGoals({ ...good, efficiency: { min: 0.7, median: 0.6 } }).length, 1);
  assert.equal(missedGoals({ ...good, distroShare: 0.2, scriptShare: 0.1 }).length, 2);

  const step = { min: 90, median: 100 };
  const jax = { step, peakBytes: 1e9, ratio: { min: 11, median: 9 }, lossDifference: 1e-6 };
  assert.equal(missedGoals({ ...good, jax }).length, 1);
  assert.match(
    comparisonLines({ ...good, jax }).join("\n"),
    /jax-js .* 9\.00 times ours/,
  );
  assert.match(comparisonLines({ ...good, jax: "gone" }).join("\n"), /not compared: gone/);
});

Deno.test("a rival is compared turn by turn, and for as many turns as it took", () => {
  const steps = (...all: number[]) =>
    all.map((milliseconds) => ({ milliseconds, peakBytes: 7, loss: 1 }) as Measurement);
  const { step, ratio } = compareSteps(steps(99, 40, 10, 60), steps(1, 10, 5, 20, 1), 1);
  assert.deepEqual(step, { min: 10, median: 40 });
  // Of the turns 4, 2 and 3.
  assert.deepEqual(ratio, { min: 2, median: 3 });
});

Deno.test("a rival whose process ends is left out with a word about it", async () => {
  const task = {
    directory: "",
    batch: 1,
    sequenceLength: 2,
    threads: 1,
    productEdge: 1,
    optimizer: "adamw",
  } as const;
  const rival = new JaxRival(task, 2, [Deno.execPath(), "eval", "Deno.exit(3)"]);
  await rival.takeTurn();
  await rival.takeTurn();
  assert.match(String(rival.comparedWith([])), /did not run/);
  await rival.end();
});
