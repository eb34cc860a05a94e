import assert from "node:assert/strict";
import { join } from "node:path";
import { initialParameters, initModel } from "./init.ts";
import { formatLlamaConfig, nanoConfig } from "./llama_config.ts";
import { readModelDirectory } from "./model_directory.ts";

const CONFIG = nanoConfig(256);

Deno.test("weights have the deviations of the scheme and stay inside three of them", () => {
  const found = initialParameters(CONFIG, 42);
  const expected: [string, number][] = [
    ["model.embed_tokens.weight", 1 / Math.sqrt(128)],
    ["lm_head.weight", 1 / Math.sqrt(128)],
    ["model.layers.3.self_attn.k_proj.weight", 1 / Math.sqrt(128)],
    ["model.layers.3.mlp.up_proj.weight", 1 / Math.sqrt(128)],
    ["model.layers.0.self_attn.o_proj.weight", 1 / Math.sqrt(2 * 128)],
    ["model.layers.3.self_attn.o_proj.weight", 1 / Math.sqrt(2 * 128 * 4)],
    ["model.layers.3.mlp.down_proj.weight", 1 / Math.sqrt(2 * 384 * 4)],
  ];
  for (const [name, sigma] of expected) {
    const data = found.get(name)!;
    const mean = data.reduce((sum, v) => sum + v, 0) / data.length;
    const deviation = Math.sqrt(data.reduce((sum, v) => sum + v * v, 0) / data.length);
    assert.ok(Math.abs(mean) < 0.03 * sigma, `${name}: mean ${mean}`);
    assert.ok(Math.abs(deviation / sigma - 1) < 0.03, `${name}: ${deviation} against ${sigma}`);
    assert.ok(data.every((v) => Math.abs(v) <= 3.0001 * sigma));
  }
  assert.ok(found.get("model.norm.weight")!.every((v) => v === 1));
  assert.ok(found.get("model.layers.2.input_layernorm.weight")!.every((v) => v === 1));
});

Deno.test("a seed fixes the weights", () => {
  const [first, same, other] = [1, 1, 2].map((seed) => initialParameters(CONFIG, seed));
  assert.deepEqual(first, same);
  assert.notDeepEqual(first, other);
  assert.throws(() => initialParameters(CONFIG, -1), { code: "SEED_INVALID" });
});

Deno.test("a fresh model directory reads back and is never overwritten", async () => {
  const root = await Deno.makeTempDir();
  try {
    const directory = join(root, "deep", "model");
    await initModel(directory, CONFIG, 3, "tokens");
    const model = await readModelDirectory(directory);
    assert.deepEqual(model.files, { config: formatLlamaConfig(CONFIG), tokenizer: "tokens" });
    const expected = initialParameters(CONFIG, 3);
    assert.equal(model.parameters.length, expected.size);
    for (const { name, data } of model.parameters) assert.deepEqual(data, expected.get(name));
    await assert.rejects(initModel(directory, CONFIG, 4), { code: "MODEL_DIRECTORY_EXISTS" });
    assert.deepEqual([...Deno.readDirSync(join(root, "deep"))].map((e) => e.name), ["model"]);
    // Other weights for the same configuration: names are there, a shape is not.
    await Deno.writeTextFile(
      join(directory, "config.json"),
      formatLlamaConfig({ ...CONFIG, intermediateSize: 256 }),
    );
    await assert.rejects(readModelDirectory(directory), { code: "MODEL_PARAMETER_INVALID" });
  } finally {
    await Deno.remove(root, { recursive: true });
  }
});

Deno.test("making a model tells how far it is and can be given up", async () => {
  const root = await Deno.makeTempDir();
  try {
    const stop = new AbortController();
    const told: number[] = [];
    const onProgress = (drawn: number) => {
      told.push(drawn);
      // As a signal comes: as an event.
      if (told.length === 3) setTimeout(() => stop.abort(new Error("given up")), 0);
    };
    const made = initModel(join(root, "model"), CONFIG, 3, null, {
      onProgress,
      signal: stop.signal,
    });
    await assert.rejects(made, { message: "given up" });
    assert.ok(told.length < initialParameters(CONFIG, 3).size, `${told}`);
    assert.ok(told.every((drawn, i) => i === 0 || drawn > told[i - 1]));
    assert.deepEqual([...Deno.readDirSync(root)], []);
  } finally {
    await Deno.remove(root, { recursive: true });
  }
});
