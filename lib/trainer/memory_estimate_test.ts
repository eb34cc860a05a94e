import assert from "node:assert/strict";
import type { Optimizer } from "../protocol/coordinator_state.ts";
import { createTrainer } from "./create_trainer.ts";
import { estimateMemory, refuseTooLarge } from "./memory_estimate.ts";
import { formatLlamaConfig, nanoConfig } from "./model/llama_config.ts";

const optimizer: Optimizer = {
  kind: "AdamW",
  betas: [0.9, 0.95],
  weightDecay: 0,
  eps: 1e-8,
  clipGradNorm: null,
};

Deno.test("memory grows with the model, the sequence and the micro batch", () => {
  const small = { sequenceLength: 128, microBatchSize: 1, optimizer };
  const base = estimateMemory(nanoConfig(512), small);
  assert.ok(
    estimateMemory(nanoConfig(512), { ...small, microBatchSize: 4 }).activationBytes >
      3 * base.activationBytes,
  );
  assert.ok(
    estimateMemory(nanoConfig(512), { ...small, sequenceLength: 512 }).activationBytes >
      4 * base.activationBytes,
  );
  assert.ok(
    estimateMemory({ ...nanoConfig(512), layers: 8 }, small).stateBytes > 1.5 * base.stateBytes,
  );
});

Deno.test("the logits of a large vocabulary hardly grow with the batch", () => {
  const [one, many] = [1, 8].map((microBatchSize) => {
    const shape = { sequenceLength: 2048, microBatchSize, optimizer };
    const [small, large] = [512, 128_256].map((vocabulary) =>
      estimateMemory(nanoConfig(vocabulary), shape).activationBytes
    );
    return large - small;
  });
  assert.ok(one > 0 && many - one < 0.05 * 4 * 8 * 2048 * 128_256);
});

Deno.test("every rank takes weights, gradients and activations; the optimizer is there once", () => {
  const shape = { sequenceLength: 128, microBatchSize: 2, optimizer };
  const one = estimateMemory(nanoConfig(512), shape);
  const three = estimateMemory(nanoConfig(512), { ...shape, ranks: 3 });
  assert.equal(three.activationBytes, 3 * one.activationBytes);
  const moments = 2 * 4 * one.parameters;
  assert.equal(three.stateBytes, 3 * (one.stateBytes - moments) + moments);
});

Deno.test("a micro batch of two halves takes gradients for both", () => {
  const shape = { sequenceLength: 128, optimizer };
  const [one, two, three] = [1, 2, 3].map((microBatchSize) =>
    estimateMemory(nanoConfig(512), { ...shape, microBatchSize })
  );
  assert.equal(two.stateBytes, one.stateBytes + 4 * one.parameters);
  // Four rows in micro batches of at most three are two pieces of two.
  assert.equal(three.stateBytes, two.stateBytes);
});

Deno.test("texts beside training take memory up to the longest one that the model can read", () => {
  const shape = { sequenceLength: 128, microBatchSize: 2, optimizer };
  const config = nanoConfig(512, 1024);
  const [none, short, long, tooLong] = [0, 100, 1000, 100_000].map((longestText) =>
    estimateMemory(config, { ...shape, longestText })
  );
  assert.equal(none.inferenceBytes, 0);
  assert.deepEqual(none, estimateMemory(config, shape));
  assert.ok(long.inferenceBytes > 10 * short.inferenceBytes);
  assert.equal(tooLong.inferenceBytes, long.inferenceBytes);
  assert.equal(long.totalBytes - none.totalBytes, long.inferenceBytes);
  assert.throws(
    () => refuseTooLarge(long, none.totalBytes),
    /for evaluation\), but .* leave evaluation tasks out/,
  );
});

Deno.test("too large a model is refused with the numbers", () => {
  const llama8b = {
    ...nanoConfig(128256, 8192),
    hiddenSize: 4096,
    intermediateSize: 14336,
    layers: 32,
    heads: 32,
    kvHeads: 8,
  };
  const shape = { sequenceLength: 2048, microBatchSize: 1, optimizer };
  const estimate = estimateMemory(llama8b, shape);
  assert.equal(estimate.parameters, 8_030_261_248);
  refuseTooLarge(estimate, estimate.totalBytes);
  assert.throws(() => refuseTooLarge(estimate, 16e9), (error: Error & { code: string }) => {
    assert.equal(error.code, "MODEL_TOO_LARGE");
    assert.match(error.message, /8030\.3 million.* GB of memory.*16\.0 GB are free/);
    return true;
  });
});

Deno.test("a trainer refuses before it loads anything", async () => {
  const directory = await Deno.makeTempDir();
  try {
    // No weights there: the refusal comes before they are looked for.
    await Deno.writeTextFile(`${directory}/config.json`, formatLlamaConfig(nanoConfig(512)));
    const options = { sequenceLength: 8, microBatchSize: 1, threads: 1, optimizer };
    const open = (memoryLimit: number) =>
      createTrainer({ model: { directory }, ...options, memoryLimit });
    await assert.rejects(open(100e6), { code: "MODEL_TOO_LARGE" });
    await assert.rejects(open(1e9), { code: "MODEL_FILES_MISSING" });
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
});
