import assert from "node:assert/strict";
import { compile } from "../graph/passes.ts";
import { Graph } from "../graph/tensor.ts";
import { loadOnnxRuntime } from "../runtime/onnx_runtime.ts";
import { type NumberArray, Session } from "../runtime/session.ts";
import { causalAttention } from "./causal_attention.ts";

const ort = await loadOnnxRuntime();

/** One head of size 1: the score of a query and a key is their product. Texts as given, if given. */
async function attend(
  [q, k, v]: [number[], number[], number[]],
  texts?: number[],
): Promise<number[]> {
  const graph = new Graph();
  const shape = [1, q.length, 1];
  const inputs = ["q", "k", "v"].map((name) => graph.input(name, shape));
  const given = texts && graph.constant(texts, [1, q.length], "int32");
  const y = causalAttention(inputs[0], inputs[1], inputs[2], { heads: 1, kvHeads: 1 }, given);
  const session = await Session.create(ort, compile(graph, { y }), { threads: 1 });
  const found = new Float32Array(q.length);
  await session.run(
    new Map<string, NumberArray>([
      ["q", Float32Array.from(q)],
      ["k", Float32Array.from(k)],
      ["v", Float32Array.from(v)],
    ]),
    new Map([["y", found]]),
  );
  await session.release();
  return [...found];
}

Deno.test("a masked key has no part in the result, however high its score", async () => {
  // Every query scores itself lowest and the keys after it far higher.
  const scores = [-1e4, -300, 0, 300, 1e4];
  const found = await attend([[1, 1, 1, 1, 1], scores, [1, 2, 3, 4, 5]]);
  assert.deepEqual(found, [1, 2, 3, 4, 5]);
  // Descending instead: the first key is the highest of every row.
  assert.deepEqual(await attend([[1, 1, 1], [1e4, 0, -1e4], [1, 2, 3]]), [1, 1, 1]);
});

Deno.test("a text starts afresh, whatever the keys before it score", async () => {
  const found = await attend([[1, 1, 1, 1], [500, 500, -500, -500], [1, 2, 3, 5]], [0, 0, 1, 1]);
  assert.deepEqual(found, [1, 1.5, 3, 4]);
});

Deno.test("scores far below the highest of their row weigh what they should", async () => {
  for (const below of [1, 10, 15]) {
    const [, found] = await attend([[1, 1], [0, -below], [0, 1]]);
    const expected = 1 / (1 + Math.exp(below));
    assert.ok(Math.abs(found / expected - 1) < 1e-6, `${found}, ${expected}`);
  }
  for (const below of [50, 90, 1000]) {
    const [, found] = await attend([[1, 1], [0, -below], [0, 1]]);
    assert.ok(found < 1e-17, `${found}`);
  }
});
