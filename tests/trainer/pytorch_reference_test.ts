/**
 * The trainer against PyTorch: models as Hugging Face saves them, and logits, loss and gradients that
 * PyTorch computed (fixtures/pytorch_llama.py). Where a Python with torch and transformers is at
 * hand (PYTHON names it, default python3), the reference is computed again and compared as well.
 */
import assert from "node:assert/strict";
import { join } from "node:path";
import { Decoder } from "../../lib/trainer/inference/decoder.ts";
import { Prefill } from "../../lib/trainer/inference/prefill.ts";
import { LlamaRuntime } from "../../lib/trainer/llama_runtime.ts";
import { readModelDirectory } from "../../lib/trainer/model/model_directory.ts";
import { loadOnnxRuntime } from "../../lib/trainer/runtime/onnx_runtime.ts";
import { readSafetensors } from "../../lib/trainer/safetensors.ts";
import { compareWithPython } from "./python_reference.ts";

const FIXTURES = join(import.meta.dirname!, "fixtures", "pytorch-llama");
const SCRIPT = join(import.meta.dirname!, "fixtures", "pytorch_llama.py");
const CASES = ["llama3-sharded-f32", "plain-bf16", "grouped-f16"];

/** Distance relative to the length of `expected`. */
function relativeError(got: ArrayLike<number>, expected: ArrayLike<number>): number {
  assert.equal(got.length, expected.length);
  let difference = 0, norm = 0;
  for (let i = 0; i < got.length; i++) {
    difference += (got[i] - expected[i]) ** 2;
    norm += expected[i] ** 2;
  }
  return Math.sqrt(difference / norm);
}

/** Largest relative error of anything that the reference in `directory` holds. */
async function worstError(directory: string): Promise<number> {
  const expected = await readSafetensors(join(directory, "expected", "values.safetensors"));
  const rows: number[][] = JSON.parse(
    await Deno.readTextFile(join(directory, "expected", "tokens.json")),
  );
  const sequenceLength = rows[0].length;
  const model = await readModelDirectory(directory);
  const options = {
    sequenceLength,
    microBatchSize: rows.length,
    threads: 1,
    device: "cpu" as const,
  };
  const ort = await loadOnnxRuntime();
  const runtime = new LlamaRuntime(ort, model, options);
  try {
    const { loss, gradients } = await runtime.gradients(
      { tokens: Int32Array.from(rows.flat()), batch: rows.length },
      () => false,
    );
    const errors = [relativeError([loss], expected.get("loss")!.data)];
    assert.equal(gradients.size, expected.size - 2);
    for (const [name, gradient] of gradients) {
      errors.push(relativeError(gradient, expected.get(`gradient:${name}`)!.data));
    }
    const logits = expected.get("logits")!.data;
    const { vocabSize } = model.config;
    const prefill = new Prefill(ort, model, options);
    for (const [row, tokens] of rows.entries()) {
      for (const position of [0, 5, sequenceLength - 1]) {
        const at = (row * sequenceLength + position) * vocabSize;
        errors.push(relativeError(
          (await prefill.read(tokens.slice(0, position + 1))).logits,
          logits.subarray(at, at + vocabSize),
        ));
      }
    }
    const decoder = await Decoder.create(ort, model, { capacity: sequenceLength, threads: 1 });
    for (const [position, token] of rows[0].entries()) {
      const at = position * vocabSize;
      errors.push(
        relativeError(await decoder.read(token), logits.subarray(at, at + vocabSize)),
      );
    }
    await decoder.release();
    await prefill.release();
    return Math.max(...errors);
  } finally {
    await runtime.release();
  }
}

for (const name of CASES) {
  Deno.test(`logits, loss and gradients are those of PyTorch: ${name}`, async () => {
    const error = await worstError(join(FIXTURES, name));
    assert.ok(error < 1e-5, `relative error ${error}`);
  });
}

Deno.test("the committed reference is what PyTorch computes today", () =>
  compareWithPython(
    "torch, transformers, safetensors",
    "torch with transformers",
    [SCRIPT],
    async (directory) => {
      for (const name of CASES) {
        const error = await worstError(join(directory, name));
        assert.ok(error < 1e-5, `${name}: relative error ${error}`);
      }
    },
  ));
