/**
 * Batches with labels, positions and packed texts against PyTorch, which computes every text alone
 * (fixtures/pytorch_batches.py). Where PYTHON (default python3) has torch, the reference is computed
 * again and compared as well.
 */
import assert from "node:assert/strict";
import { join } from "node:path";
import { LlamaRuntime } from "../../lib/trainer/llama_runtime.ts";
import { readModelDirectory } from "../../lib/trainer/model/model_directory.ts";
import { loadOnnxRuntime } from "../../lib/trainer/runtime/onnx_runtime.ts";
import { readSafetensors } from "../../lib/trainer/safetensors.ts";
import { compareWithPython } from "./python_reference.ts";

const FIXTURES = join(import.meta.dirname!, "fixtures");
const MODEL = join(FIXTURES, "pytorch-llama", "grouped-f16");
const CASES = ["labels", "labels-in-pieces", "positions", "packed", "everything-in-pieces"];

interface Reference {
  tokens: number[][];
  labels?: number[][];
  positionIds?: number[][];
  sequenceLengths?: number[][];
  microBatchSize: number;
  loss: number;
}

const flat = (rows: number[][] | undefined) => rows && Int32Array.from(rows.flat());

/** Compares a batch with the reference of this name in `directory`. */
async function compare(directory: string, name: string): Promise<void> {
  const { tokens, labels, positionIds, sequenceLengths, microBatchSize, loss }: Reference = JSON
    .parse(await Deno.readTextFile(join(directory, `${name}.json`)));
  const expected = await readSafetensors(join(directory, `${name}.safetensors`));
  const runtime = new LlamaRuntime(await loadOnnxRuntime(), await readModelDirectory(MODEL), {
    sequenceLength: tokens[0].length,
    microBatchSize,
    threads: 1,
    device: "cpu",
  });
  try {
    const found = await runtime.gradients({
      tokens: flat(tokens)!,
      batch: tokens.length,
      labels: flat(labels),
      positionIds: flat(positionIds),
      sequenceLengths,
    }, () => false);
    assert.ok(Math.abs(found.loss / loss - 1) < 1e-6, `loss ${found.loss} instead of ${loss}`);
    assert.equal(found.gradients.size, expected.size);
    for (const [parameter, gradient] of found.gradients) {
      const { data } = expected.get(parameter)!;
      let difference = 0, norm = 0;
      gradient.forEach((value, i) => {
        difference += (value - data[i]) ** 2;
        norm += data[i] ** 2;
      });
      const error = Math.sqrt(difference / norm);
      assert.ok(error < 1e-5, `${name}, ${parameter}: relative error ${error}`);
    }
  } finally {
    await runtime.release();
  }
}

for (const name of CASES) {
  Deno.test(`loss and gradients are those of PyTorch: ${name}`, () =>
    compare(join(FIXTURES, "pytorch-batches"), name));
}

Deno.test("the committed batches are what PyTorch computes today", () =>
  compareWithPython(
    "torch",
    "torch",
    [join(FIXTURES, "pytorch_batches.py"), MODEL],
    async (directory) => {
      for (const name of CASES) await compare(directory, name);
    },
  ));
