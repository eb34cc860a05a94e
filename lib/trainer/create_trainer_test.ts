import assert from "node:assert/strict";
import { join } from "node:path";
import type { Optimizer } from "../protocol/coordinator_state.ts";
import { createTrainer } from "./create_trainer.ts";
import { initModel } from "./model/init.ts";
import { type LlamaConfig, nanoConfig } from "./model/llama_config.ts";
import { weightsSha256 } from "./model/weights_sha256.ts";
import { seededRandom } from "./random.ts";
import type { DistroResult, Trainer, TrainerOptions } from "./trainer.ts";

const CONFIG: LlamaConfig = {
  ...nanoConfig(32),
  hiddenSize: 32,
  intermediateSize: 64,
  layers: 2,
  heads: 4,
  kvHeads: 2,
};
const SEQUENCE = 16;
const DISTRO: Optimizer = {
  kind: "Distro",
  clipGradNorm: 1,
  weightDecay: 0.1,
  compressionDecay: 0.999,
  compressionTopk: 8,
  compressionChunk: 16,
  quantize1bit: true,
};
const ADAMW: Optimizer = {
  kind: "AdamW",
  betas: [0.9, 0.95],
  weightDecay: 0,
  eps: 1e-8,
  clipGradNorm: 1,
};

/** Rows that count upwards from a random start: the next token is always known. */
function countingRows(batch: number, seed: number): Int32Array {
  const random = seededRandom(seed);
  return Int32Array.from({ length: batch }, () => Math.floor(random.uniform() * 32))
    .reduce((rows, start, b) => {
      for (let t = 0; t < SEQUENCE; t++) rows[b * SEQUENCE + t] = (start + t) % 32;
      return rows;
    }, new Int32Array(batch * SEQUENCE));
}

interface Place {
  directory: string;
  /** A trainer of the model in `directory`, closed at the end of the test. */
  open(options?: Partial<TrainerOptions>): Promise<Trainer>;
}

function test(name: string, body: (place: Place) => Promise<void>) {
  Deno.test(name, async () => {
    const root = await Deno.makeTempDir();
    const directory = join(root, "model");
    const trainers: Trainer[] = [];
    try {
      await initModel(directory, CONFIG, 1, "{}");
      await body({
        directory,
        open: async (options = {}) => {
          const trainer = await createTrainer({
            model: { directory },
            sequenceLength: SEQUENCE,
            microBatchSize: 4,
            optimizer: DISTRO,
            threads: 1,
            ...options,
          });
          trainers.push(trainer);
          return trainer;
        },
      });
    } finally {
      await Promise.all(trainers.map((trainer) => trainer.close()));
      await Deno.remove(root, { recursive: true });
    }
  });
}

const request = (round: number, options: { batch?: number; lr?: number; seed?: number } = {}) => {
  const { batch = 4, lr = 2e-3, seed = round } = options;
  return {
    step: round + 1,
    tokens: countingRows(batch, seed),
    batch,
    lr,
    previousLr: lr,
    resetOptimizer: false,
    round,
  };
};

test("the trainer describes its model", async ({ open }) => {
  const trainer = await open();
  const count = trainer.parameters.reduce((n, p) => n + p.shape.reduce((a, b) => a * b, 1), 0);
  assert.equal(trainer.numParameters, BigInt(count));
  assert.equal(trainer.vocabSize, 32);
  assert.deepEqual(
    trainer.parameters.map((p) => p.name),
    trainer.parameters.map((p) => p.name).sort(),
  );
  assert.equal(trainer.parameters[0].name, "lm_head.weight");
  assert.equal(JSON.parse(trainer.files.config).hidden_size, 32);
  assert.equal(trainer.files.tokenizer, "{}");
});

test("AdamW learns to count, and generation continues the count", async ({ open }) => {
  const trainer = await open({ optimizer: ADAMW });
  const before = await trainer.evaluate(countingRows(8, 999), 8);
  for (let round = 0; round < 40; round++) {
    const { result } = await trainer.train(request(round, { lr: 1e-2, batch: 8 }));
    assert.deepEqual(result, []);
    await trainer.apply({ step: round, lr: 1e-2, results: [[]] });
  }
  const after = await trainer.evaluate(countingRows(8, 999), 8);
  assert.ok(before > 3 && after < 0.3, `loss ${before} -> ${after}`);
  assert.deepEqual(await trainer.generate([4, 5, 6], { maxNewTokens: 4 }), [7, 8, 9, 10]);
  const draw = { maxNewTokens: 20, temperature: 2, seed: 5 };
  const drawn = await trainer.generate([4], draw);
  assert.deepEqual(await trainer.generate([4], draw), drawn);
  assert.notDeepEqual(await trainer.generate([4], { ...draw, seed: 6 }), drawn);
});

test("two DisTrO clients learn together and keep bit-equal weights", async ({ open }) => {
  const clients = await Promise.all([open(), open()]);
  const held = countingRows(8, 999);
  const before = await clients[0].evaluate(held, 8);
  const history: DistroResult[][] = [];
  for (let round = 0; round < 24; round++) {
    if (round >= 2) {
      const applied = await Promise.all(
        clients.map((c) => c.apply({ step: round, lr: 1e-2, results: history[round - 2] })),
      );
      assert.equal(applied[0].weightsFingerprint, applied[1].weightsFingerprint);
    }
    const trained = await Promise.all(
      clients.map((c, i) => c.train(request(round, { lr: 1e-2, batch: 8, seed: 2 * round + i }))),
    );
    assert.deepEqual(trained.map((t) => t.nonce), [round, round]);
    history.push(trained.map((t) => t.result));
  }
  const hashes = await Promise.all(clients.map((client) => client.weightsSha256()));
  assert.equal(hashes[0], hashes[1]);
  const after = await clients[1].evaluate(held, 8);
  assert.ok(after < 0.5 * before, `loss ${before} -> ${after}`);
});

test("training without weight decay leaves every bit of the weights", async ({ open }) => {
  const trainer = await open({ optimizer: { ...DISTRO, weightDecay: null } });
  const before = await trainer.weightsSha256();
  await trainer.train(request(0));
  await trainer.train(request(1));
  assert.equal(await trainer.weightsSha256(), before);
});

test("the hash of the weights follows every change", async ({ open }) => {
  const hashOf = async (trainer: Trainer) => {
    const weights = trainer.parameters.map(async ({ name }) => ({
      data: await trainer.parameter(name),
    }));
    return weightsSha256(await Promise.all(weights));
  };
  const steps: [Optimizer, (trainer: Trainer) => Promise<unknown>][] = [
    [ADAMW, (trainer) => trainer.train(request(0))],
    [DISTRO, async (trainer) => {
      const { result } = await trainer.train(request(0));
      await trainer.apply({ step: 2, lr: 1e-2, results: [result] });
    }],
  ];
  for (const [optimizer, change] of steps) {
    const trainer = await open({ optimizer });
    const before = await trainer.weightsSha256();
    assert.equal(before, await hashOf(trainer));
    await change(trainer);
    assert.notEqual(await trainer.weightsSha256(), before);
    assert.equal(await trainer.weightsSha256(), await hashOf(trainer));
  }
});

test("a batch cut into pieces trains like the whole batch", async ({ open }) => {
  const results: { loss: number; result: DistroResult }[] = [];
  for (const microBatchSize of [6, 2]) {
    const trainer = await open({ microBatchSize, optimizer: { ...DISTRO, quantize1bit: false } });
    results.push(await trainer.train(request(0, { batch: 6 })));
  }
  assert.ok(Math.abs(results[0].loss - results[1].loss) < 1e-5);
  const values = results.map(({ result }) =>
    result.flatMap(({ values }) => [...new Float32Array(values.slice().buffer)])
  );
  const sums = values.map((list) => list.reduce((sum, value) => sum + Math.abs(value), 0));
  assert.ok(Math.abs(sums[0] / sums[1] - 1) < 1e-4, `${sums}`);
});

test("labels, positions and packed texts reach the graph", async ({ open }) => {
  const trainer = await open({ optimizer: ADAMW });
  const plain = request(0, { lr: 0 });
  const { loss } = await trainer.train(plain);
  // Views into larger arrays, as a batch cut out of a message would be.
  const view = (value: (token: number, i: number) => number) =>
    Int32Array.from([0, ...plain.tokens.map(value)]).subarray(1);
  const half = await trainer.train({
    ...plain,
    labels: view((token, i) => i % SEQUENCE < 8 ? token : -100),
    positionIds: view((_, i) => i % 8),
    sequenceLengths: Array.from({ length: 4 }, () => [8, 8]),
  });
  assert.ok(half.loss > 0 && half.loss !== loss, `${half.loss}, ${loss}`);
  const none = await trainer.train({ ...plain, labels: view(() => -100) });
  assert.equal(none.loss, 0);
  assert.equal((await trainer.train(plain)).loss, loss);
  await assert.rejects(trainer.train({ ...plain, labels: view(() => -2) }), {
    code: "TOKENS_INVALID",
  });
});

test("batches of many sizes give the losses of their rows", async ({ open }) => {
  const trainer = await open({ microBatchSize: 8 });
  const rows = countingRows(6, 3);
  const single: number[] = [];
  for (let b = 0; b < 6; b++) {
    single.push(await trainer.evaluate(rows.subarray(b * SEQUENCE, (b + 1) * SEQUENCE), 1));
  }
  // More sizes than graphs are kept, then the first again.
  for (const batch of [1, 2, 3, 4, 5, 6, 1]) {
    const expected = single.slice(0, batch).reduce((a, b) => a + b) / batch;
    const tokens = rows.subarray(0, batch * SEQUENCE);
    const { loss } = await trainer.train({ ...request(0), tokens, batch, lr: 0 });
    for (const found of [await trainer.evaluate(tokens, batch), loss]) {
      assert.ok(Math.abs(found - expected) < 1e-5, `${batch} rows: ${found}, not ${expected}`);
    }
  }
});

test("an aborted batch rejects, changes nothing and the trainer goes on", async ({ open }) => {
  const [trainer, untouched] = await Promise.all([
    open({ microBatchSize: 1 }),
    open({ microBatchSize: 1 }),
  ]);
  const first = request(0);
  await Promise.all([trainer.train(first), untouched.train(first)]);
  const before = await trainer.weightsSha256();
  const early = AbortSignal.abort();
  await assert.rejects(trainer.train(request(1), early), { code: "TRAINING_ABORTED" });
  const controller = new AbortController();
  const running = trainer.train(request(1, { batch: 512 }), controller.signal);
  setTimeout(() => controller.abort(), 30);
  await assert.rejects(running, { code: "TRAINING_ABORTED" });
  assert.equal(await trainer.weightsSha256(), before);
  const next = await trainer.train(request(1));
  assert.equal(next.nonce, 3);
  const expected = await untouched.train(request(1));
  assert.deepEqual(next.result, expected.result);
});

test("bad input crosses back as an error with its code", async ({ open, directory }) => {
  const trainer = await open();
  const name = "model.norm.weight";
  const before = await trainer.weightsSha256();
  const outside = request(0);
  outside.tokens[3] = 32;
  const cases: [() => Promise<unknown>, string][] = [
    [() => trainer.train({ ...request(0), batch: 3 }), "TOKENS_INVALID"],
    [() => trainer.train(outside), "TOKENS_INVALID"],
    [() => trainer.train({ ...request(0), lr: NaN }), "LEARNING_RATE_INVALID"],
    [() => trainer.apply({ step: 1, lr: 1, results: [[]] }), "DISTRO_RESULT_INVALID"],
    [() => trainer.evaluate(new Int32Array(5), 1), "TOKENS_INVALID"],
    [() => trainer.generate([], { maxNewTokens: 1 }), "GENERATE_OPTION_INVALID"],
    [() => trainer.parameter(name + "x"), "MODEL_PARAMETER_UNKNOWN"],
    [() => trainer.saveCheckpoint(directory), "MODEL_DIRECTORY_EXISTS"],
    [() => open({ model: { directory: directory + "x" } }), "MODEL_NOT_FOUND"],
    [() => open({ microBatchSize: 0 }), "TRAINER_OPTION_INVALID"],
    [() => open({ optimizer: { kind: "Dummy" } }), "OPTIMIZER_UNSUPPORTED"],
    [() => open({ signal: AbortSignal.abort() }), "TRAINER_ABORTED"],
    [
      () => open({ model: { files: trainer.files, parameters: new Map() } }),
      "MODEL_PARAMETER_INVALID",
    ],
  ];
  for (const [action, code] of cases) {
    await assert.rejects(action, (error: Error & { code: string }) => {
      assert.equal(error.name, "PsycheError");
      assert.equal(error.code, code, error.message);
      return true;
    });
  }
  assert.equal(await trainer.weightsSha256(), before);
  await trainer.close();
  await trainer.close();
  await assert.rejects(trainer.weightsSha256(), { code: "TRAINER_CLOSED" });
});

test("weights that overflow are refused before anything changes", async ({ open }) => {
  const source = await open();
  const parameters = new Map<string, Float32Array<ArrayBuffer>>();
  for (const { name } of source.parameters) parameters.set(name, await source.parameter(name));
  parameters.get("lm_head.weight")!.fill(NaN);
  const trainer = await open({ model: { files: source.files, parameters } });
  const before = await trainer.weightsSha256();
  await assert.rejects(trainer.train(request(0)), { code: "GRADIENT_NOT_FINITE" });
  assert.equal(await trainer.weightsSha256(), before);
});

test("a saved checkpoint loads with the same weights and loss", async ({ open, directory }) => {
  const trainer = await open({ optimizer: ADAMW });
  await trainer.train(request(0));
  const saved = join(directory, "checkpoints", "one");
  await trainer.saveCheckpoint(saved);
  const names = [...Deno.readDirSync(saved)].map((entry) => entry.name).sort();
  assert.deepEqual(names, ["config.json", "model.safetensors", "tokenizer.json"]);
  assert.deepEqual([...Deno.readDirSync(join(directory, "checkpoints"))].length, 1);

  const loaded = await open({ model: { directory: saved } });
  const parameters = new Map<string, Float32Array<ArrayBuffer>>();
  for (const { name } of trainer.parameters) parameters.set(name, await trainer.parameter(name));
  const received = await open({ model: { files: trainer.files, parameters } });
  const held = countingRows(5, 7);
  for (const other of [loaded, received]) {
    assert.equal(await other.weightsSha256(), await trainer.weightsSha256());
    assert.equal(await other.evaluate(held, 5), await trainer.evaluate(held, 5));
    assert.deepEqual(other.files, trainer.files);
  }
});
