import assert from "node:assert/strict";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { peakBytes } from "../bench/peak_bytes.ts";
import { gradients } from "../graph/autodiff.ts";
import { compile } from "../graph/passes.ts";
import { Graph } from "../graph/tensor.ts";
import { loadOnnxRuntime } from "../runtime/onnx_runtime.ts";
import { type NumberArray, Session } from "../runtime/session.ts";
import { crossEntropyHead } from "./cross_entropy.ts";

const ROWS = 2048, WIDTH = 8, VOCABULARY = 16_384;
const LOGIT_BYTES = 4 * ROWS * VOCABULARY;

/** Runs the head in chunks; returns the peak of this process's memory. */
async function run(maxLogits: number, derives: boolean): Promise<number> {
  const graph = new Graph();
  const x = graph.input("x", [ROWS, WIDTH]);
  const weight = graph.input("weight", [VOCABULARY, WIDTH]);
  const labels = graph.input("labels", [ROWS], "int32");
  const loss = crossEntropyHead(x, weight, labels, { maxLogits, derives });
  const [dx, dWeight] = derives ? gradients(loss, [x, weight]) : [];
  const model = compile(graph, derives ? { loss, dx, dWeight } : { loss });
  const session = await Session.create(await loadOnnxRuntime(), model, { threads: 1 });
  const feeds = new Map<string, NumberArray>([
    ["x", new Float32Array(ROWS * WIDTH).fill(0.1)],
    ["weight", new Float32Array(VOCABULARY * WIDTH).fill(0.1)],
    ["labels", Int32Array.from({ length: ROWS }, (_, row) => row)],
  ]);
  const found = new Float32Array(1);
  await session.run(feeds, new Map([["loss", found]]));
  assert.ok(Math.abs(found[0] - Math.log(VOCABULARY)) < 1e-4);
  await session.release();
  return peakBytes();
}

for (const derives of [true, false]) {
  Deno.test(`chunks of the head do not share the memory at once, ${derives ? "with" : "without"} gradients`, async () => {
    const peakOf = async (chunks: number) => {
      const child = new Deno.Command(Deno.execPath(), {
        args: [
          "run",
          "--quiet",
          "--no-check",
          "--allow-all",
          `--config=${join(fileURLToPath(new URL("../../../", import.meta.url)), "deno.json")}`,
          fileURLToPath(import.meta.url),
          String(ROWS * VOCABULARY / chunks),
          String(derives),
        ],
      });
      const { code, stdout, stderr } = await child.output();
      assert.equal(code, 0, new TextDecoder().decode(stderr));
      return Number(new TextDecoder().decode(stdout));
    };
    const [one, many] = await Promise.all([1, 16].map(peakOf));
    assert.ok(one - many > LOGIT_BYTES / 2, `${one}, ${many}`);
  });
}

// The other processes of the tests above.
if (import.meta.main) {
  const [maxLogits, derives] = Deno.args;
  console.log(await run(Number(maxLogits), derives === "true"));
}
