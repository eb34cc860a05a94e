import assert from "node:assert/strict";
import { join } from "node:path";
import type { Optimizer } from "../protocol/coordinator_state.ts";
import type { DataProvider } from "../trainer/data/data_provider.ts";
import { initModel } from "../trainer/model/init.ts";
import { nanoConfig } from "../trainer/model/llama_config.ts";
import { type LearningCurve, trainAlone } from "./train_alone.ts";

const SEQUENCE = 16;

/** Sequences that count upwards modulo 16, each from its own number on. */
const counting: DataProvider = {
  sequences: Infinity,
  sequenceLength: SEQUENCE,
  read: ({ start, end }) =>
    Promise.resolve({
      tokens: Int32Array.from(
        { length: Number(end - start + 1n) * SEQUENCE },
        (_, i) => (7 * (Number(start) + Math.floor(i / SEQUENCE)) + i % SEQUENCE) % 16,
      ),
    }),
};
const OPTIMIZERS: Optimizer[] = [
  { kind: "AdamW", betas: [0.9, 0.95], weightDecay: 0, eps: 1e-8, clipGradNorm: 1 },
  {
    kind: "Distro",
    clipGradNorm: 1,
    weightDecay: null,
    compressionDecay: 0.999,
    compressionTopk: 8,
    compressionChunk: 16,
    quantize1bit: true,
  },
];

async function withTinyModel<T>(use: (modelDirectory: string) => Promise<T>): Promise<T> {
  const directory = await Deno.makeTempDir();
  try {
    const modelDirectory = join(directory, "model");
    const config = { ...nanoConfig(16), hiddenSize: 32, intermediateSize: 64, layers: 1 };
    await initModel(modelDirectory, config, 1);
    return await use(modelDirectory);
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
}

async function learnToCount(
  optimizer: Optimizer,
  more: { signal?: AbortSignal; onStep?: (step: number) => void } = {},
): Promise<LearningCurve> {
  const heldOut = (await counting.read({ start: 1000n, end: 1003n })).tokens;
  return await withTinyModel((modelDirectory) =>
    trainAlone({
      name: "counting",
      modelDirectory,
      data: counting,
      batch: 4,
      steps: 25,
      optimizer,
      schedule: { kind: "Constant", baseLr: 5e-3, warmupInitLr: 0, warmupSteps: 3 },
      heldOut,
      heldOutEvery: 10,
      threads: 1,
      ...more,
    })
  );
}

Deno.test("training alone that is cut off says why it was, not what became of a batch", async () => {
  const stop = new AbortController();
  const reason = new Error("enough");
  const stopped = learnToCount(OPTIMIZERS[0], {
    signal: stop.signal,
    onStep: (step) => step === 3 && stop.abort(reason),
  });
  await assert.rejects(stopped, reason);
});

for (const optimizer of OPTIMIZERS) {
  Deno.test(`a model learns to count alone with ${optimizer.kind}`, async () => {
    const curve = await learnToCount(optimizer);
    assert.deepEqual(curve.heldOut.map(({ step }) => step), [0, 10, 20, 25]);
    assert.equal(curve.steps.length, 25);
    const [first, last] = [curve.heldOut[0].loss, curve.heldOut.at(-1)!.loss];
    assert.ok(last < 0.6 * first, `loss ${first} became ${last}`);
  });
}
