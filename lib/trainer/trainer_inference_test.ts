import assert from "node:assert/strict";
import type { Optimizer } from "../protocol/coordinator_state.ts";
import { createTrainer } from "./create_trainer.ts";
import { initialParameters } from "./model/init.ts";
import { formatLlamaConfig, nanoConfig } from "./model/llama_config.ts";
import type { Trainer } from "./trainer.ts";

const CONFIG = {
  ...nanoConfig(32, 512),
  hiddenSize: 32,
  intermediateSize: 48,
  layers: 2,
  heads: 2,
  kvHeads: 1,
  eosTokenIds: [],
};
const SEQUENCE = 16;
const ADAMW: Optimizer = {
  kind: "AdamW",
  betas: [0.9, 0.95],
  weightDecay: 0,
  eps: 1e-8,
  clipGradNorm: null,
};
const ROW = Array.from({ length: SEQUENCE }, (_, i) => (3 * i + i * i) % 32);

function open(parameters = initialParameters(CONFIG, 7)): Promise<Trainer> {
  return createTrainer({
    model: { files: { config: formatLlamaConfig(CONFIG), tokenizer: null }, parameters },
    sequenceLength: SEQUENCE,
    microBatchSize: 2,
    optimizer: ADAMW,
    threads: 1,
    device: "cpu",
  });
}

const train = (trainer: Trainer, step: number) =>
  trainer.train({
    step,
    tokens: Int32Array.from([...ROW, ...ROW]),
    batch: 2,
    lr: 1e-2,
    previousLr: 1e-2,
    resetOptimizer: false,
    round: step,
  });

Deno.test("scores are the loss of the same tokens, before and after training, and change nothing", async () => {
  const trainer = await open();
  for (let step = 0; step < 3; step++) {
    const before = await trainer.weightsSha256();
    const scores = await trainer.score(ROW, SEQUENCE - 1);
    const mean = -scores.reduce((sum, value) => sum + value, 0) / (SEQUENCE - 1);
    const loss = await trainer.evaluate(Int32Array.from(ROW), 1);
    assert.ok(Math.abs(mean - loss) < 1e-5, `${mean}, ${loss}`);
    assert.equal(await trainer.weightsSha256(), before);
    await train(trainer, step);
  }
  await assert.rejects(trainer.score(ROW, SEQUENCE), { code: "TOKENS_INVALID" });
  await trainer.close();
});

Deno.test("what is remembered of a text ends with the weights that read it", async () => {
  const trainer = await open();
  const prompt = [...ROW, ...ROW, ...ROW];
  const options = { maxNewTokens: 12 };
  const first = await trainer.generate(prompt, options);
  for (let step = 0; step < 5; step++) await train(trainer, step);
  const after = await trainer.generate([...prompt, ...first.slice(0, 4)], options);
  const parameters = new Map<string, Float32Array<ArrayBuffer>>();
  for (const { name } of trainer.parameters) parameters.set(name, await trainer.parameter(name));
  const fresh = await open(parameters);
  assert.deepEqual(await fresh.generate([...prompt, ...first.slice(0, 4)], options), after);
  assert.notDeepEqual(first.slice(4), after.slice(0, 8), "the weights made no difference");
  await Promise.all([trainer.close(), fresh.close()]);
});

Deno.test("an abort ends a text early without an error, and training goes on at once", async () => {
  const trainer = await open();
  assert.deepEqual(await trainer.generate(ROW, { maxNewTokens: 9 }, AbortSignal.abort()), []);
  const whole = await trainer.generate(ROW, { maxNewTokens: 400 });
  assert.equal(whole.length, 400);
  // With other weights in between nothing is left to go on from.
  await train(trainer, 0);
  const controller = new AbortController();
  const running = trainer.generate(ROW, { maxNewTokens: 490 }, controller.signal);
  setTimeout(() => controller.abort(), 20);
  const [part, { loss }] = await Promise.all([running, train(trainer, 1)]);
  assert.ok(part.length < 490, `${part.length} tokens`);
  assert.ok(Number.isFinite(loss));
  await trainer.close();
});
