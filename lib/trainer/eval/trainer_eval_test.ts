/** A model in training answers in words, interrupted by its training. */
import assert from "node:assert/strict";
import { createTrainer } from "../create_trainer.ts";
import { initialParameters } from "../model/init.ts";
import { formatLlamaConfig, nanoConfig } from "../model/llama_config.ts";
import { bpeTokenizerJson } from "../tokenizer/bpe_model.ts";
import { trainBpe } from "../tokenizer/train_bpe.ts";
import { type EvalModel, evalModelOfTrainer } from "./eval_model.ts";
import { writeAnswer } from "./write_answer.ts";

const OPTIONS = { maxNewTokens: 200, stop: "\0" };
const PROMPT = "the cat sat and the dog sat ".repeat(12);

async function withTrainer(
  use: (model: EvalModel, train: () => Promise<unknown>) => Promise<void>,
) {
  const tokenizer = bpeTokenizerJson(trainBpe("the cat sat ".repeat(9), 280));
  const config = {
    ...nanoConfig(288, 512),
    hiddenSize: 32,
    intermediateSize: 48,
    layers: 2,
    heads: 2,
    kvHeads: 1,
    eosTokenIds: [],
  };
  const trainer = await createTrainer({
    model: {
      files: { config: formatLlamaConfig(config), tokenizer },
      parameters: initialParameters(config, 3),
    },
    sequenceLength: 16,
    microBatchSize: 1,
    optimizer: {
      kind: "AdamW",
      betas: [0.9, 0.95],
      weightDecay: 0,
      eps: 1e-8,
      clipGradNorm: null,
    },
    threads: 1,
    device: "cpu",
  });
  let step = 0;
  const train = () =>
    trainer.train({
      step: ++step,
      tokens: new Int32Array(16).fill(5),
      batch: 1,
      lr: 1e-3,
      previousLr: 1e-3,
      resetOptimizer: false,
      round: step,
    });
  try {
    await use(evalModelOfTrainer(trainer)!, train);
  } finally {
    await trainer.close();
  }
}

/** Writes in as many goes as it takes, each cut off by a timer. */
async function interrupted(model: EvalModel, between: () => Promise<unknown>) {
  const written: number[] = [];
  for (let goes = 1;; goes++) {
    const before = written.length;
    // Longer and longer, for machines on which nothing begins in the shortest time.
    const signal = AbortSignal.timeout(15 + goes);
    const text = await writeAnswer(model, PROMPT, OPTIONS, written, signal);
    if (text !== null) return { text, goes, written };
    assert.ok(written.length >= before);
    await between();
  }
}

Deno.test("an answer that is interrupted again and again is the same answer", () =>
  withTrainer(async (model) => {
    const whole = await writeAnswer(model, PROMPT, OPTIONS, []);
    const { text, goes, written } = await interrupted(model, () => Promise.resolve());
    assert.ok(goes > 1, "nothing was interrupted");
    assert.equal(text, whole);
    assert.equal(written.length, OPTIONS.maxNewTokens);
  }));

Deno.test("it comes to its end, too, when the weights change in between", () =>
  withTrainer(async (model, train) => {
    const { goes, written } = await interrupted(model, train);
    assert.ok(goes > 1, "nothing was interrupted");
    assert.equal(written.length, OPTIONS.maxNewTokens);
  }));
