import assert from "node:assert/strict";
import type { LearningReport } from "./learning_experiment.ts";
import { learningPage } from "./learning_page.ts";
import type { LearningCurve } from "./train_alone.ts";

const curve = (name: string, loss: number, bytesPerStep = 0): LearningCurve => ({
  name,
  optimizer: name,
  steps: [{ step: 1, loss }],
  heldOut: [{ step: 0, loss: 6 }, { step: 1, loss }],
  seconds: 1,
  bytesPerStep,
});

const page = (adamw: number, distro: number, network: number, weightsEqual = true) =>
  learningPage(
    {
      clients: 2,
      steps: 1,
      sequencesPerStep: 16,
      sequenceLength: 128,
      parameters: 1e6,
      seed: 1,
      rates: { adamw: 0.006, distro: 0.004 },
      topk: 8,
      chunk: 64,
      bytesDense: 4e6,
      weightsEqual,
      weightsCompared: 1,
      curves: [curve("A", adamw), curve("D", distro), curve("N", network, 4000)],
    } satisfies LearningReport,
  );

Deno.test("the learning page claims what the numbers say", () => {
  const usual = page(4, 5, 5.1);
  assert.match(usual, /All three learn\. The clients end with bit-equal weights/);
  assert.match(usual, /costs 0\.100 nats of held-out loss against DisTrO alone/);
  assert.match(usual, /over the network ends 1\.100 nats above AdamW alone\. That is its price/);
  assert.match(usual, /1,000 times less/);
});

Deno.test("the learning page hides no failure", () => {
  const bad = page(5, 6, 5.99, false);
  assert.doesNotMatch(bad, /All three learn/);
  assert.match(bad, /\*\*Nothing is learned by D and N\*\*.*\*\*different\*\* weights/);
  assert.doesNotMatch(page(5, 4.5, 4.5), /price/);
});
