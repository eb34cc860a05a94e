/**
 * What clients rely on: a trainer gives the same bits for the same input, on any number of threads, on
 * any number of ranks that cut a batch alike, and in any process.
 */
import assert from "node:assert/strict";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import fc from "fast-check";
import type { Optimizer } from "../protocol/coordinator_state.ts";
import { seed } from "../protocol/property_seed.ts";
import { isHalved } from "./halves/is_halved.ts";
import { initialParameters } from "./model/init.ts";
import { formatLlamaConfig, type LlamaConfig, nanoConfig } from "./model/llama_config.ts";
import { seededRandom } from "./random.ts";
import type { DistroResult } from "./trainer.ts";
import { type EngineOptions, TrainingEngine } from "./training_engine.ts";

/** Everything that decides what a trainer computes. */
interface Task {
  config: LlamaConfig;
  sequenceLength: number;
  batch: number;
  microBatchSize: number;
  optimizer: Optimizer;
  seed: number;
}

/** Losses, results and weights of four rounds, as one text. */
async function train(
  task: Task,
  runtime: Pick<EngineOptions, "threads" | "dataParallelism">,
): Promise<string> {
  const { config, sequenceLength, batch, optimizer } = task;
  const engine = await TrainingEngine.create({
    ...task,
    ...runtime,
    model: {
      files: { config: formatLlamaConfig(config), tokenizer: null },
      parameters: initialParameters(config, task.seed),
    },
    device: "cpu",
    optimizer,
  });
  try {
    const random = seededRandom(task.seed);
    const draw = () => Math.floor(random.uniform() * config.vocabSize);
    const history: DistroResult[] = [];
    const found = [];
    for (let round = 0; round < 4; round++) {
      const lr = 0.01;
      if (round >= 2) engine.apply({ lr, results: [history[round - 2]] });
      const tokens = Int32Array.from({ length: batch * sequenceLength }, draw);
      const request = { step: round + 1, round, tokens, batch, lr, previousLr: lr };
      const { loss, result } = await engine.train({ ...request, resetOptimizer: false });
      history.push(result);
      found.push({
        loss,
        result: result.map(({ indices, values }) => [indices.toHex(), values.toHex()]),
        weights: engine.weightsSha256(),
      });
    }
    return JSON.stringify(found);
  } finally {
    await engine.release();
  }
}

const distro = (quantize1bit: boolean): Optimizer => ({
  kind: "Distro",
  clipGradNorm: 1,
  weightDecay: 0.1,
  compressionDecay: 0.999,
  compressionTopk: 4,
  compressionChunk: 16,
  quantize1bit,
});
const ADAMW: Optimizer = {
  kind: "AdamW",
  betas: [0.9, 0.95],
  weightDecay: 0.1,
  eps: 1e-8,
  clipGradNorm: 0.5,
};

const TASKS: fc.Arbitrary<Task> = fc.record({
  layers: fc.integer({ min: 1, max: 2 }),
  kvHeads: fc.integer({ min: 1, max: 2 }),
  group: fc.integer({ min: 1, max: 2 }),
  headDim: fc.constantFrom(4, 8, 16),
  intermediateSize: fc.constantFrom(24, 40, 64),
  vocabSize: fc.integer({ min: 17, max: 130 }),
  sequenceLength: fc.integer({ min: 3, max: 40 }),
  ranks: fc.integer({ min: 1, max: 3 }),
  rows: fc.integer({ min: 1, max: 3 }),
  optimizer: fc.constantFrom(distro(true), distro(false), ADAMW),
  seed: fc.nat(1000),
}).map((
  { layers, kvHeads, group, headDim, intermediateSize, vocabSize, ranks, rows, ...rest },
) => ({
  ...rest,
  config: {
    ...nanoConfig(vocabSize),
    layers,
    kvHeads,
    heads: kvHeads * group,
    hiddenSize: kvHeads * group * headDim,
    intermediateSize,
  },
  batch: ranks * rows,
  microBatchSize: rows,
}));

Deno.test("threads and ranks change no bit of losses, results and weights", async () => {
  await fc.assert(
    fc.asyncProperty(TASKS, async (task) => {
      const alone = await train(task, { threads: 1 });
      assert.equal(await train(task, { threads: 3 }), alone);
      const ranks = task.batch / task.microBatchSize;
      assert.equal(await train(task, { threads: 2, dataParallelism: ranks }), alone);
    }),
    { seed: seed(), numRuns: 6 },
  );
});

const NANO: Task = {
  config: nanoConfig(512),
  sequenceLength: 64,
  batch: 16,
  microBatchSize: 8,
  optimizer: distro(true),
  seed: 1,
};
assert.ok(isHalved(NANO.config, { batch: 8, sequenceLength: 64 }));

/** As narrow as it goes: kernel memory cannot be shared, arrays are ordinary and one thread does all. */
const PERMISSIONS = ["--allow-read", "--allow-env", "--allow-sys", "--allow-ffi=node_modules"];

for (const permissions of [["--allow-all"], PERMISSIONS]) {
  Deno.test(`the nano model: two ranks here, one in another process with ${permissions}`, async () => {
    const here = await train(NANO, { threads: 2, dataParallelism: 2 });
    const child = new Deno.Command(Deno.execPath(), {
      args: [
        "run",
        "--quiet",
        "--no-check",
        "--no-prompt",
        ...permissions,
        `--config=${join(fileURLToPath(new URL("../../", import.meta.url)), "deno.json")}`,
        fileURLToPath(import.meta.url),
      ],
      stdout: "piped",
      stderr: "piped",
    });
    const { code, stdout, stderr } = await child.output();
    assert.equal(code, 0, new TextDecoder().decode(stderr));
    assert.equal(new TextDecoder().decode(stdout), here);
  });
}

// The other process of the tests above.
if (import.meta.main) {
  await Deno.stdout.write(new TextEncoder().encode(await train(NANO, { threads: 2 })));
}
