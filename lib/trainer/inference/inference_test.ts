import assert from "node:assert/strict";
import { initialParameters, initModel } from "../model/init.ts";
import { formatLlamaConfig, type LlamaConfig, nanoConfig } from "../model/llama_config.ts";
import { assembleModel } from "../model/model_directory.ts";
import { loadOnnxRuntime } from "../runtime/onnx_runtime.ts";
import { bpeTokenizerJson } from "../tokenizer/bpe_model.ts";
import { trainBpe } from "../tokenizer/train_bpe.ts";
import { Decoder } from "./decoder.ts";
import { LanguageModel } from "./language_model.ts";
import { Prefill } from "./prefill.ts";
import { sampleToken } from "./sample_token.ts";
import { Scorer } from "./scorer.ts";

const ort = await loadOnnxRuntime();
const TOKENS = [3, 12, 0, 7, 7, 1, 9, 4, 11];

const base = { ...nanoConfig(13, 64), hiddenSize: 16, intermediateSize: 20, layers: 2 };
const CONFIGS: Record<string, LlamaConfig> = {
  grouped: { ...base, heads: 4, kvHeads: 2 },
  llama3: {
    ...base,
    heads: 2,
    kvHeads: 1,
    ropeTheta: 50,
    ropeScaling: {
      kind: "llama3",
      factor: 4,
      lowFrequencyFactor: 1,
      highFrequencyFactor: 4,
      originalLength: 32,
    },
  },
  yarn: {
    ...base,
    heads: 2,
    kvHeads: 2,
    ropeScaling: {
      kind: "yarn",
      factor: 4,
      betaFast: 32,
      betaSlow: 1,
      originalLength: 16,
      mscale: 1,
      mscaleAllDim: 0.5,
    },
  },
};

/** Weights large enough that every path matters. */
function model(config: LlamaConfig) {
  const parameters = initialParameters(config, 5);
  for (const data of parameters.values()) data.forEach((v, i) => data[i] = 2 * v);
  const files = { config: formatLlamaConfig(config), tokenizer: null };
  return assembleModel(files, new Map([...parameters].map(([name, data]) => [name, { data }])));
}

async function expectedLogits(config: LlamaConfig): Promise<Float32Array[]> {
  const prefill = new Prefill(ort, model(config), { threads: 1 });
  const logits = [];
  for (const i of TOKENS.keys()) logits.push((await prefill.read(TOKENS.slice(0, i + 1))).logits);
  await prefill.release();
  return logits;
}

/** The sums are made in another order, and these weights magnify that; logits are around 5. */
function assertClose(got: ArrayLike<number>, expected: ArrayLike<number>) {
  assert.equal(got.length, expected.length);
  for (let i = 0; i < got.length; i++) {
    assert.ok(Math.abs(got[i] - expected[i]) < 5e-4, `${i}: ${got[i]}, ${expected[i]}`);
  }
}

for (const [name, config] of Object.entries(CONFIGS)) {
  Deno.test(`reading token by token gives the logits of the whole text: ${name}`, async () => {
    const expected = await expectedLogits(config);
    const decoder = await Decoder.create(ort, model(config), {
      capacity: TOKENS.length,
      threads: 1,
    });
    for (const [i, token] of TOKENS.entries()) assertClose(await decoder.read(token), expected[i]);
    await assert.rejects(decoder.read(1), { code: "TOKENS_INVALID" });
    await decoder.release();
  });

  Deno.test(`scores are log-softmax of the logits: ${name}`, async () => {
    const logits = await expectedLogits(config);
    const logProbability = (i: number) => {
      const total = logits[i - 1].reduce((sum, v) => sum + Math.exp(v), 0);
      return logits[i - 1][TOKENS[i]] - Math.log(total);
    };
    const scorer = new Scorer(ort, model(config), { threads: 1 });
    for (const count of [1, 5, TOKENS.length - 1]) {
      const expected = Array.from(
        { length: count },
        (_, i) => logProbability(TOKENS.length - count + i),
      );
      assertClose(await scorer.score(TOKENS, count), expected);
    }
    for (const [tokens, count] of [[TOKENS, 0], [TOKENS, 9], [[1], 1], [[1, 13], 1]] as const) {
      await assert.rejects(scorer.score(tokens, count), { code: "TOKENS_INVALID" });
    }
    await scorer.release();
  });
}

Deno.test("draws follow the temperature", () => {
  const logits = Float32Array.of(0, Math.log(3), -50);
  assert.equal(sampleToken(logits, 0, 0.1), 1);
  assert.equal(sampleToken(logits, 1, 0.24), 0);
  assert.equal(sampleToken(logits, 1, 0.26), 1);
  assert.equal(sampleToken(logits, 0.1, 0.01), 1);
});

Deno.test("a directory is opened, continued repeatably and up to its last position", async () => {
  const parent = await Deno.makeTempDir();
  try {
    const directory = `${parent}/model`;
    const tokenizer = bpeTokenizerJson(trainBpe("a b c ".repeat(9), 260));
    await initModel(directory, { ...base, vocabSize: 264, maxPositions: 12 }, 1, tokenizer);
    const opened = await LanguageModel.open(directory, { threads: 1 });
    const prompt = opened.tokenizer.encode("abc");
    const all = async (options: { maxNewTokens: number; temperature?: number; seed?: number }) => {
      const found = [];
      for await (const token of opened.generate(prompt, options)) found.push(token);
      return found;
    };
    const greedy = await all({ maxNewTokens: 4 });
    assert.equal(greedy.length, 4);
    assert.deepEqual(await all({ maxNewTokens: 4 }), greedy);
    const drawn = await all({ maxNewTokens: 6, temperature: 1, seed: 3 });
    assert.deepEqual(await all({ maxNewTokens: 6, temperature: 1, seed: 3 }), drawn);
    assert.notDeepEqual(await all({ maxNewTokens: 6, temperature: 1, seed: 4 }), drawn);
    // Position 12 is the last that can be read; one more token follows it.
    assert.equal((await all({ maxNewTokens: 100 })).length, 12 - prompt.length + 1);
    assert.deepEqual(await all({ maxNewTokens: 0 }), []);
    await assert.rejects(all({ maxNewTokens: -1 }), { code: "GENERATE_OPTION_INVALID" });
    await opened.close();
    await assert.rejects(LanguageModel.open(directory, { threads: 1, memoryLimit: 1000 }), {
      code: "MODEL_TOO_LARGE",
    });
  } finally {
    await Deno.remove(parent, { recursive: true });
  }
});
