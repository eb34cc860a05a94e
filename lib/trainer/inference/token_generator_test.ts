import assert from "node:assert/strict";
import { initialParameters } from "../model/init.ts";
import { formatLlamaConfig, nanoConfig } from "../model/llama_config.ts";
import { assembleModel } from "../model/model_directory.ts";
import { loadOnnxRuntime } from "../runtime/onnx_runtime.ts";
import { Decoder } from "./decoder.ts";
import { Prefill } from "./prefill.ts";
import { TokenGenerator } from "./token_generator.ts";

const ort = await loadOnnxRuntime();
const CONFIG = {
  ...nanoConfig(13, 200),
  hiddenSize: 16,
  intermediateSize: 20,
  layers: 2,
  heads: 4,
  kvHeads: 2,
  eosTokenIds: [],
};
const TEXT = Array.from({ length: 70 }, (_, i) => (i * i + 3 * i) % 13);

function model(seed = 5, eosTokenIds: number[] = []) {
  const config = { ...CONFIG, eosTokenIds };
  const parameters = initialParameters(config, seed);
  for (const data of parameters.values()) data.forEach((v, i) => data[i] = 2 * v);
  const files = { config: formatLlamaConfig(config), tokenizer: null };
  return assembleModel(files, new Map([...parameters].map(([name, data]) => [name, { data }])));
}

async function collect(tokens: AsyncIterable<number>): Promise<number[]> {
  const found = [];
  for await (const token of tokens) found.push(token);
  return found;
}

Deno.test("a text read at once is remembered as if it had been read token by token", async () => {
  const made = model();
  const options = { capacity: 80, threads: 1 };
  const [single, whole] = [
    await Decoder.create(ort, made, options),
    await Decoder.create(ort, made, options),
  ];
  const prefill = new Prefill(ort, made, { threads: 1 });
  // What was read before must not show.
  await whole.read(9);
  for (const length of [TEXT.length, 40]) {
    const text = TEXT.slice(0, length);
    single.rewind(0);
    let logits = new Float32Array(0);
    for (const token of text) logits = new Float32Array(await single.read(token));
    const found = await prefill.read(text);
    whole.adopt(text, found);
    assert.deepEqual(whole.tokens, text);
    const compare = (a: Float32Array, b: Float32Array) =>
      a.forEach((value, i) => assert.ok(Math.abs(value - b[i]) < 5e-4, `${value}, ${b[i]}`));
    compare(logits, found.logits);
    for (const token of [1, 12, 4]) compare(await single.read(token), await whole.read(token));
  }
  await Promise.all([single.release(), whole.release(), prefill.release()]);
});

Deno.test("going on in pieces gives the text of one go, and so does a generator that knows nothing", async () => {
  const made = model();
  const generator = new TokenGenerator(ort, made, { threads: 1 });
  for (const prompt of [TEXT.slice(0, 3), TEXT]) {
    const whole = await collect(generator.generate(prompt, { maxNewTokens: 24 }));
    assert.equal(whole.length, 24);
    const pieces: number[] = [];
    for (const count of [1, 2, 5, 16]) {
      const text = [...prompt, ...pieces];
      pieces.push(...await collect(generator.generate(text, { maxNewTokens: count })));
    }
    assert.deepEqual(pieces, whole);
    const fresh = new TokenGenerator(ort, made, { threads: 1 });
    assert.deepEqual(await collect(fresh.generate(prompt, { maxNewTokens: 24 })), whole);
    await fresh.release();
  }
  await generator.release();
});

Deno.test("after a change of the weights nothing of before is used", async () => {
  const made = model(5);
  const other = model(6);
  const generator = new TokenGenerator(ort, made, { threads: 1 });
  await collect(generator.generate(TEXT, { maxNewTokens: 8 }));
  for (const [i, { data }] of made.parameters.entries()) data.set(other.parameters[i].data);
  generator.forget();
  const fresh = new TokenGenerator(ort, other, { threads: 1 });
  for (const prompt of [TEXT, TEXT.slice(0, 20)]) {
    assert.deepEqual(
      await collect(generator.generate(prompt, { maxNewTokens: 12 })),
      await collect(fresh.generate(prompt, { maxNewTokens: 12 })),
    );
  }
  await Promise.all([generator.release(), fresh.release()]);
});

Deno.test("an abort is seen before every pass, ends without an error and loses nothing", async () => {
  const generator = new TokenGenerator(ort, model(), { threads: 1 });
  const whole = await collect(generator.generate(TEXT, { maxNewTokens: 10 }));
  generator.forget();
  let asked = 0;
  const stopAfter = (passes: number) => () => asked++ >= passes;
  const run = (prompt: number[], passes: number) => {
    asked = 0;
    return collect(generator.generate(prompt, { maxNewTokens: 10 }, stopAfter(passes)));
  };
  assert.deepEqual(await run(TEXT, 0), []);
  // The pass over the prompt gives one token, each further pass one more.
  assert.deepEqual(await run(TEXT, 1), whole.slice(0, 1));
  assert.deepEqual(await run([...TEXT, whole[0]], 3), whole.slice(1, 4));
  await generator.release();
});

Deno.test("texts end at an end token and at the last position; two can be made at once", async () => {
  const generator = new TokenGenerator(ort, model(), { threads: 1 });
  const draw = { maxNewTokens: 500, temperature: 1, seed: 3 };
  const [a, b] = await Promise.all([
    collect(generator.generate(TEXT, draw)),
    collect(generator.generate(TEXT.slice(0, 5), draw)),
  ]);
  // The last token is never read.
  assert.deepEqual([a.length, b.length], [200 - 70 + 1, 200 - 5 + 1]);
  const end = a[9];
  const ending = new TokenGenerator(ort, model(5, [end]), { threads: 1 });
  const found = await collect(ending.generate(TEXT, draw));
  assert.deepEqual(found, a.slice(0, a.indexOf(end)));
  await Promise.all([generator.release(), ending.release()]);
});

Deno.test("prompts that cannot be continued are refused", async () => {
  const generator = new TokenGenerator(ort, model(), { threads: 1 });
  const cases: [number[], object, string][] = [
    [[], { maxNewTokens: 1 }, "GENERATE_OPTION_INVALID"],
    [new Array(201).fill(1), { maxNewTokens: 1 }, "GENERATE_OPTION_INVALID"],
    [[1], { maxNewTokens: -1 }, "GENERATE_OPTION_INVALID"],
    [[1], { maxNewTokens: 1, temperature: NaN }, "GENERATE_OPTION_INVALID"],
    [[13], { maxNewTokens: 1 }, "TOKENS_INVALID"],
    [new Array(60).fill(-1), { maxNewTokens: 1 }, "TOKENS_INVALID"],
  ];
  for (const [prompt, options, code] of cases) {
    const tokens = generator.generate(prompt, options as { maxNewTokens: number });
    await assert.rejects(collect(tokens), { code });
  }
  await generator.release();
});
