import assert from "node:assert/strict";
import { join } from "node:path";
import { writeSafetensors } from "../safetensors.ts";
import { initialParameters } from "./init.ts";
import { formatLlamaConfig, nanoConfig, parameterShapes } from "./llama_config.ts";
import { readModelDirectory, writeModelDirectory } from "./model_directory.ts";

const CONFIG = { ...nanoConfig(16), hiddenSize: 16, intermediateSize: 16, layers: 1 };

/** A model whose tensors are spread over two files, as the index says. */
async function withSharded(use: (directory: string) => Promise<void>) {
  const directory = await Deno.makeTempDir();
  try {
    const data = initialParameters(CONFIG, 1);
    const halves = [new Map(), new Map()];
    parameterShapes(CONFIG).forEach(({ name, shape }, i) =>
      halves[i % 2].set(name, { shape, data: data.get(name)! })
    );
    const weight_map: Record<string, string> = {};
    for (const [i, half] of halves.entries()) {
      const file = `model-0000${i + 1}-of-00002.safetensors`;
      await writeSafetensors(join(directory, file), half);
      for (const name of half.keys()) weight_map[name] = file;
    }
    await Deno.writeTextFile(
      join(directory, "model.safetensors.index.json"),
      JSON.stringify({ metadata: {}, weight_map }),
    );
    await Deno.writeTextFile(join(directory, "config.json"), formatLlamaConfig(CONFIG));
    await use(directory);
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
}

Deno.test("several files are read by their index, others beside them are not", () =>
  withSharded(async (directory) => {
    await Deno.writeTextFile(join(directory, "consolidated.safetensors"), "another form");
    const { parameters } = await readModelDirectory(directory);
    const expected = initialParameters(CONFIG, 1);
    for (const { name, data } of parameters) assert.deepEqual(data, expected.get(name));
  }));

Deno.test("the small files beside the weights are carried on", () =>
  withSharded(async (directory) => {
    await Deno.writeTextFile(join(directory, "generation_config.json"), '{"a":1}');
    await Deno.writeTextFile(join(directory, "notes.json"), "{}");
    const copy = join(directory, "copy");
    await writeModelDirectory(copy, await readModelDirectory(directory));
    const names = [...Deno.readDirSync(copy)].map(({ name }) => name).sort();
    assert.deepEqual(names, ["config.json", "generation_config.json", "model.safetensors"]);
    assert.equal(await Deno.readTextFile(join(copy, "generation_config.json")), '{"a":1}');
  }));

Deno.test("weights too large for one file are split, and read back by their index", () =>
  withSharded(async (directory) => {
    const model = await readModelDirectory(directory);
    const copy = join(directory, "copy");
    const largest = Math.max(...model.parameters.map(({ data }) => data.length));
    await writeModelDirectory(copy, model, { dtype: "BF16", maxFileBytes: 2 * largest });
    const names = [...Deno.readDirSync(copy)].map(({ name }) => name).sort();
    const parts = names.filter((name) => name.endsWith(".safetensors"));
    assert.ok(parts.length > 1);
    const five = (value: number) => String(value).padStart(5, "0");
    parts.forEach((name, i) =>
      assert.equal(name, `model-${five(i + 1)}-of-${five(parts.length)}.safetensors`)
    );
    const index = JSON.parse(
      await Deno.readTextFile(join(copy, "model.safetensors.index.json")),
    );
    const elements = model.parameters.reduce((sum, { data }) => sum + data.length, 0);
    assert.equal(index.metadata.total_size, 2 * elements);
    const again = await readModelDirectory(copy);
    for (const [i, { name, data }] of again.parameters.entries()) {
      assert.equal(name, model.parameters[i].name);
      data.forEach((value, at) => {
        const exact = model.parameters[i].data[at];
        assert.ok(Math.abs(value - exact) <= Math.abs(exact) * 2 ** -8);
      });
    }
  }));

Deno.test("a missing file, a broken index and biases are refused", () =>
  withSharded(async (directory) => {
    const index = join(directory, "model.safetensors.index.json");
    const good = await Deno.readTextFile(index);
    for (
      const text of [
        "",
        "{}",
        '{"weight_map":{}}',
        '{"weight_map":{"a":"../x.safetensors"}}',
        '{"weight_map":{"a":3}}',
      ]
    ) {
      await Deno.writeTextFile(index, text);
      await assert.rejects(readModelDirectory(directory), { code: "MODEL_FILES_MISSING" }, text);
    }
    await Deno.writeTextFile(index, good);
    const bias = new Map([["model.layers.0.self_attn.q_proj.bias", {
      shape: [2],
      data: new Float32Array(2),
    }]]);
    const second = join(directory, "model-00002-of-00002.safetensors");
    await writeSafetensors(second, bias);
    await assert.rejects(readModelDirectory(directory), { code: "MODEL_PARAMETER_INVALID" });
    await Deno.remove(second);
    await assert.rejects(readModelDirectory(directory), { code: "MODEL_FILES_MISSING" });
  }));

Deno.test("a directory that cannot be made is named", () =>
  withSharded(async (directory) => {
    const target = join(directory, "config.json", "copy");
    await assert.rejects(writeModelDirectory(target, await readModelDirectory(directory)), {
      code: "OUTPUT_UNWRITABLE",
      message: /config\.json\/copy cannot be written/,
    });
  }));
