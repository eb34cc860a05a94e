import assert from "node:assert/strict";
import fc from "fast-check";
import { NO_LABEL } from "../data/data_provider.ts";
import { KernelThreads } from "../kernels/kernel_threads.ts";
import { ModelMemory } from "../kernels/model_memory.ts";
import { LlamaRuntime } from "../llama_runtime.ts";
import { initialParameters } from "../model/init.ts";
import { nanoConfig, parameterShapes } from "../model/llama_config.ts";
import type { Model } from "../model/model_directory.ts";
import { ModelGraphs } from "../model_graphs.ts";
import { seededRandom } from "../random.ts";
import { loadOnnxRuntime } from "../runtime/onnx_runtime.ts";
import { batchFeeds, batchKind, type TrainingBatch } from "../training_batch.ts";
import { isHalved } from "./is_halved.ts";
import { SecondHalf } from "./second_half.ts";

const CONFIG = { ...nanoConfig(40), hiddenSize: 16, intermediateSize: 24, layers: 2 };
const SEQUENCE = 16;
const ROWS = 8;
const SHAPE = { batch: ROWS, sequenceLength: SEQUENCE };
const ort = await loadOnnxRuntime();

/** A model whose arrays threads can share, or one of ordinary arrays. */
function modelIn(memory: ModelMemory | null): Model {
  const values = initialParameters(CONFIG, 3);
  const parameters = parameterShapes(CONFIG).map(({ name, shape }) => {
    const initial = values.get(name)!;
    const [data] = memory?.take(initial.length) ?? [new Float32Array(initial.length)];
    data.set(initial);
    return { name, shape, data };
  });
  return { config: CONFIG, files: { config: "", tokenizer: null }, parameters };
}

type Kind = "plain" | "packed" | "labelled";

/** Labelled: no label counts in some rows, and none at all in the last ones. */
function randomBatch(seed: number, kind: Kind = "plain"): TrainingBatch {
  const random = seededRandom(seed);
  const draw = () => Math.floor(random.uniform() * CONFIG.vocabSize);
  const tokens = Int32Array.from({ length: ROWS * SEQUENCE }, draw);
  const counts = (i: number) => i < 6 * SEQUENCE && i % 3 === 0;
  return {
    batch: ROWS,
    tokens,
    sequenceLengths: kind === "packed" ? Array(ROWS).fill([5, 3, SEQUENCE - 8]) : undefined,
    labels: kind === "labelled"
      ? tokens.map((token, i) => counts(i) ? token : NO_LABEL)
      : undefined,
  };
}

/** Loss and a copy of the gradients of batches one after the other. */
async function train(
  threads: number,
  batches: TrainingBatch[],
  memory: ModelMemory | null = new ModelMemory(new KernelThreads(threads)),
) {
  const options = {
    sequenceLength: SEQUENCE,
    microBatchSize: ROWS,
    threads,
    device: "cpu" as const,
  };
  const runtime = new LlamaRuntime(ort, modelIn(memory), options, memory ?? undefined);
  try {
    const found = [];
    for (const batch of batches) {
      const { loss, gradients } = await runtime.gradients(batch, () => false);
      found.push({ loss, gradients: [...gradients.values()].map((data) => data.slice()) });
    }
    return found;
  } finally {
    await runtime.release();
    memory?.threads.close();
  }
}

/** The same by one graph for all rows. */
async function trainWhole(batch: TrainingBatch) {
  const graphs = new ModelGraphs(ort, CONFIG, { threads: 1, device: "cpu" });
  const { parameters } = modelIn(null);
  const gradients = new Map(parameters.map(({ name, data }) => [name, data.slice()]));
  const feeds = batchFeeds(batch, { start: 0, rows: ROWS }, SEQUENCE);
  const shape = { ...SHAPE, ...batchKind(batch) };
  const loss = await graphs.train(shape, feeds, parameters, gradients);
  await graphs.release();
  return { loss, gradients: [...gradients.values()] };
}

Deno.test("halves have the loss and the gradients of the whole", async () => {
  for (const kind of ["plain", "packed", "labelled"] as const) {
    const batch = randomBatch(1, kind);
    assert.ok(isHalved(CONFIG, { ...SHAPE, ...batchKind(batch) }));
    const whole = await trainWhole(batch);
    const [halves] = await train(2, [batch]);
    assert.ok(Math.abs(halves.loss - whole.loss) < 1e-6 * whole.loss);
    const norm = Math.hypot(...whole.gradients.map((data) => Math.hypot(...data)));
    whole.gradients.forEach((data, p) => {
      const distance = Math.hypot(...data.map((value, i) => value - halves.gradients[p][i]));
      assert.ok(distance < 1e-6 * norm, `${parameterShapes(CONFIG)[p].name}: ${distance}`);
    });
  }
});

Deno.test("one thread after the other, two at once and four give the same bits", async () => {
  const batches = [randomBatch(2), randomBatch(3, "packed"), randomBatch(4, "labelled")];
  const alone = await train(1, batches);
  for (const threads of [2, 3, 4]) assert.deepEqual(await train(threads, batches), alone);
  // Arrays that no other thread sees are computed here.
  assert.deepEqual(await train(2, batches, null), alone);
});

Deno.test("what is computed in halves depends on rows, tokens and the model alone", () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 64 }),
      fc.integer({ min: 2, max: 2048 }),
      (batch, sequenceLength) => {
        const shape = { batch, sequenceLength };
        if (batch % 2 === 1) assert.ok(!isHalved(nanoConfig(512), shape));
        if (isHalved(nanoConfig(4096), shape)) {
          assert.ok(isHalved(nanoConfig(4096), { ...shape, batch: 2 * batch }));
        }
      },
    ),
  );
  assert.ok(isHalved(nanoConfig(512), { batch: 8, sequenceLength: 128 }));
  assert.ok(!isHalved(nanoConfig(512), { batch: 2, sequenceLength: 8 }));
});

Deno.test("halves without any label give zeros", async () => {
  const batch = { ...randomBatch(6), labels: new Int32Array(ROWS * SEQUENCE).fill(NO_LABEL) };
  const [{ loss, gradients }] = await train(2, [batch]);
  assert.equal(loss, 0);
  for (const data of gradients) assert.ok(data.every((value) => value === 0));
});

Deno.test("an error of the second half comes back, and the next batch is computed", async () => {
  const memory = new ModelMemory();
  const { parameters } = modelIn(memory);
  const gradients = new Map(
    parameters.map(({ name, data }) => [name, memory.take(data.length)[0]]),
  );
  const half = await SecondHalf.open(CONFIG, 1);
  try {
    const feeds = batchFeeds(randomBatch(5), { start: 0, rows: ROWS }, SEQUENCE);
    const wrong = { ...SHAPE, batch: ROWS + 1 };
    assert.throws(half.begin(wrong, feeds, parameters, gradients), { code: "GRAPH_VALUE_INVALID" });
    assert.ok(half.begin(SHAPE, feeds, parameters, gradients)() > 0);
  } finally {
    half.close();
  }
});

Deno.test("a second half that does not begin is told of", async () => {
  const module = new URL("data:text/javascript,onmessage = () => { throw new Error('no room'); }");
  await assert.rejects(
    SecondHalf.open(CONFIG, 1, module),
    (error: Error & { code: string }) =>
      error.code === "TRAINER_FAILED" && /no room.*--threads 1/.test(error.message),
  );
});
