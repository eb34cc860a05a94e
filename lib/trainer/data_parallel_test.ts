import assert from "node:assert/strict";
import { join } from "node:path";
import { createAbortFlag, raise } from "./abort_flag.ts";
import { createTrainer } from "./create_trainer.ts";
import { DataParallelGradients } from "./data_parallel.ts";
import { GradientRank } from "./data_parallel_rank.ts";
import { LlamaRuntime } from "./llama_runtime.ts";
import { initModel } from "./model/init.ts";
import { formatLlamaConfig, type LlamaConfig, nanoConfig } from "./model/llama_config.ts";
import { type Model, readModelDirectory } from "./model/model_directory.ts";
import { seededRandom } from "./random.ts";
import { loadOnnxRuntime } from "./runtime/onnx_runtime.ts";
import type { DistroResult, TrainerOptions } from "./trainer.ts";
import type { TrainingBatch } from "./training_batch.ts";

const CONFIG: LlamaConfig = {
  ...nanoConfig(32),
  hiddenSize: 32,
  intermediateSize: 64,
  layers: 2,
  heads: 4,
  kvHeads: 2,
};
const SEQUENCE = 12;
const OPTIONS = { sequenceLength: SEQUENCE, threads: 1, device: "cpu" as const };
const ort = await loadOnnxRuntime();

/** Runs `body` with a small model and its directory. */
function test(name: string, body: (model: Model, directory: string) => Promise<void>) {
  Deno.test(name, async () => {
    const root = await Deno.makeTempDir();
    try {
      const directory = join(root, "model");
      await initModel(directory, CONFIG, 1, null);
      await body(await readModelDirectory(directory), directory);
    } finally {
      await Deno.remove(root, { recursive: true });
    }
  });
}

function randomBatch(rows: number, seed = 1): TrainingBatch {
  const random = seededRandom(seed);
  const draw = () => Math.floor(random.uniform() * CONFIG.vocabSize);
  return { batch: rows, tokens: Int32Array.from({ length: rows * SEQUENCE }, draw) };
}

/** Loss and a copy of all gradients, one after the other. */
async function gradientsOf(
  model: Model,
  ranks: number,
  microBatchSize: number,
  batches: TrainingBatch[],
): Promise<{ loss: number; values: Float32Array }[]> {
  const options = { ...OPTIONS, microBatchSize };
  const own = new LlamaRuntime(ort, model, options);
  const others = Array.from({ length: ranks - 1 }, () => options);
  const parallel = await DataParallelGradients.open(own, model.files.config, others);
  try {
    const found = [];
    for (const batch of batches) {
      const { loss, gradients } = await parallel.gradients(model.parameters, batch);
      found.push({
        loss,
        values: Float32Array.from([...gradients.values()].flatMap((g) => [...g])),
      });
    }
    return found;
  } finally {
    await parallel.close();
    await own.release();
  }
}

/** Euclidean distance relative to the length of `expected`. */
function distance(found: Float32Array, expected: Float32Array): number {
  const length = (values: Float32Array) => Math.hypot(...values);
  return length(found.map((value, i) => value - expected[i])) / length(expected);
}

test("two ranks give to the bit what two micro batches of one rank give", async (model) => {
  const packed: TrainingBatch = {
    ...randomBatch(8, 3),
    labels: randomBatch(8, 4).tokens.map((token, i) => i % 5 === 0 ? -100 : token),
    sequenceLengths: Array.from({ length: 8 }, (_, row) => [1 + row, SEQUENCE - 1 - row]),
  };
  const batches = [randomBatch(8, 1), randomBatch(8, 2), packed];
  const [one, two, again] = [
    await gradientsOf(model, 1, 4, batches),
    await gradientsOf(model, 2, 4, batches),
    await gradientsOf(model, 2, 4, batches),
  ];
  assert.deepEqual(two, one);
  assert.deepEqual(again, two);
});

test("ranks that share a batch evenly agree with one that computes all of it", async (model) => {
  const batches = [randomBatch(6)];
  const [whole] = await gradientsOf(model, 1, 6, batches);
  for (const ranks of [2, 3]) {
    const [shared] = await gradientsOf(model, ranks, 6, batches);
    assert.ok(Math.abs(shared.loss - whole.loss) < 1e-6, `${shared.loss} and ${whole.loss}`);
    assert.ok(distance(shared.values, whole.values) < 1e-5);
  }
});

test("every rank weighs the same, however many rows it has; a short batch leaves ranks out", async (model) => {
  const rows = [0, 1, 2].map((row) => randomBatch(1, 10 + row));
  const single = await gradientsOf(model, 1, 1, rows);
  const join = (some: TrainingBatch[]) => ({
    batch: some.length,
    tokens: Int32Array.from(some.flatMap(({ tokens }) => [...tokens])),
  });
  const uneven = await gradientsOf(model, 2, 8, [join(rows)]);
  const expected = single[0].values.map((g, i) =>
    (g + single[1].values[i]) / 4 + single[2].values[i] / 2
  );
  assert.ok(distance(uneven[0].values, expected) < 1e-5);
  assert.ok(
    Math.abs(
      uneven[0].loss - ((single[0].loss + single[1].loss) / 4 + single[2].loss / 2),
    ) < 1e-6,
  );
  const short = await gradientsOf(model, 3, 8, [join(rows.slice(0, 2)), rows[2]]);
  const mean = single[0].values.map((g, i) => (g + single[1].values[i]) / 2);
  assert.ok(distance(short[0].values, mean) < 1e-5);
  assert.deepEqual(short[1].values, single[2].values);
});

test("an aborted batch rejects on all ranks, and the next one counts", async (model) => {
  const options = { ...OPTIONS, microBatchSize: 1 };
  const own = new LlamaRuntime(ort, model, options);
  const parallel = await DataParallelGradients.open(own, model.files.config, [options]);
  try {
    const abort = createAbortFlag();
    const running = parallel.gradients(model.parameters, randomBatch(512), abort);
    setTimeout(() => raise(abort), 30);
    await assert.rejects(running, { code: "TRAINING_ABORTED" });
    const batch = randomBatch(2);
    const { loss, gradients } = await parallel.gradients(model.parameters, batch);
    const values = Float32Array.from([...gradients.values()].flatMap((g) => [...g]));
    assert.deepEqual([{ loss, values }], await gradientsOf(model, 1, 1, [batch]));
    const bad = { batch: 3, tokens: batch.tokens };
    await assert.rejects(parallel.gradients(model.parameters, bad), {
      code: "TOKENS_INVALID",
      message: /batch of 3/,
    });
  } finally {
    await parallel.close();
    await own.release();
  }
});

test("a rank that dies is named, now and at the next batch", async (model) => {
  const dying = new URL(
    `data:text/javascript,${
      encodeURIComponent(`onmessage = ({ data: { id, method } }) => {
        if (method !== "open") throw new Error("out of order");
        postMessage({ id, value: undefined });
      };`)
    }`,
  );
  const options = { ...OPTIONS, microBatchSize: 4 };
  const own = new LlamaRuntime(ort, model, options);
  const rank = await GradientRank.open(1, formatLlamaConfig(CONFIG), options, dying);
  const parallel = new DataParallelGradients(own, [rank]);
  const expected = { code: "TRAINER_FAILED", message: /rank 1 failed .*out of order/ };
  await assert.rejects(parallel.gradients(model.parameters, randomBatch(4)), expected);
  await assert.rejects(parallel.gradients(model.parameters, randomBatch(4)), expected);
  await parallel.close();
  await own.release();
});

test("a rank that cannot open ends the others", async (model) => {
  const own = new LlamaRuntime(ort, model, { ...OPTIONS, microBatchSize: 1 });
  const others = [{ ...OPTIONS, microBatchSize: 1 }, { ...OPTIONS, microBatchSize: 0 }];
  await assert.rejects(DataParallelGradients.open(own, model.files.config, others), {
    code: "TRAINER_OPTION_INVALID",
  });
  await own.release();
});

test("a trainer of two ranks learns as one alone does", async (_model, directory) => {
  const open = (dataParallelism: number) =>
    createTrainer({
      model: { directory },
      sequenceLength: SEQUENCE,
      microBatchSize: dataParallelism === 1 ? 2 : 4,
      optimizer: {
        kind: "Distro",
        clipGradNorm: 1,
        weightDecay: 0.1,
        compressionDecay: 0.999,
        compressionTopk: 8,
        compressionChunk: 16,
        quantize1bit: true,
      },
      threads: 2,
      device: "cpu",
      dataParallelism,
    });
  const [alone, shared] = await Promise.all([open(1), open(2)]);
  try {
    assert.deepEqual(alone.devices, ["cpu"]);
    assert.deepEqual(shared.devices, ["cpu", "cpu"]);
    const history: DistroResult[] = [];
    for (let round = 0; round < 4; round++) {
      if (round >= 2) {
        const request = { step: round, lr: 0.01, results: [history[round - 2]] };
        const applied = await Promise.all([alone.apply(request), shared.apply(request)]);
        assert.deepEqual({ ...applied[0], milliseconds: 0 }, { ...applied[1], milliseconds: 0 });
      }
      const request = {
        ...randomBatch(4, round),
        step: round + 1,
        lr: 0.01,
        previousLr: 0.01,
        resetOptimizer: false,
        round,
      };
      const [a, b] = await Promise.all([alone.train(request), shared.train(request)]);
      assert.deepEqual({ ...a, milliseconds: 0 }, { ...b, milliseconds: 0 });
      history.push(a.result);
    }
  } finally {
    await Promise.all([alone.close(), shared.close()]);
  }
});

test("impossible numbers of ranks and devices are refused", async (_model, directory) => {
  const options: TrainerOptions = {
    model: { directory },
    sequenceLength: SEQUENCE,
    microBatchSize: 1,
    optimizer: { kind: "AdamW", betas: [0.9, 0.95], weightDecay: 0, eps: 1e-8, clipGradNorm: null },
    threads: 1,
  };
  for (const dataParallelism of [0, 1.5, 65, NaN]) {
    await assert.rejects(createTrainer({ ...options, dataParallelism }), {
      code: "TRAINER_OPTION_INVALID",
    });
  }
  await assert.rejects(
    createTrainer({ ...options, device: ["cpu", "cpu", "cpu"], dataParallelism: 2 }),
    { code: "TRAINER_OPTION_INVALID", message: /3 devices/ },
  );
});
