import assert from "node:assert/strict";
import { compile } from "../graph/passes.ts";
import { Graph } from "../graph/tensor.ts";
import { loadOnnxRuntime } from "../runtime/onnx_runtime.ts";
import { type NumberArray, Session } from "../runtime/session.ts";
import { causalAttention } from "./causal_attention.ts";

const ort = await loadOnnxRuntime();

const HEAD = 8;

/**
 * One head whose first column alone is not 0: the score of a query and a key is their product. Texts
 * as given, if given; without them also by the fused operator, which must agree.
 */
async function attend(values: [number[], number[], number[]], texts?: number[]): Promise<number[]> {
  const plain = await attendIn(new Graph(), values, texts);
  if (texts !== undefined) return plain;
  const fused = await attendIn(new Graph({ fused: true }), values);
  plain.forEach((value, i) => {
    const error = Math.abs(fused[i] - value);
    assert.ok(error <= 1e-6 * Math.abs(value) + 1e-17, `${fused[i]} instead of ${value}`);
  });
  return plain;
}

async function attendIn(
  graph: Graph,
  [q, k, v]: [number[], number[], number[]],
  texts?: number[],
): Promise<number[]> {
  const shape = [1, q.length, HEAD];
  const inputs = ["q", "k", "v"].map((name) => graph.input(name, shape));
  const given = texts && graph.constant(texts, [1, q.length], "int32");
  const y = causalAttention(inputs[0], inputs[1], inputs[2], { heads: 1, kvHeads: 1 }, given);
  const session = await Session.create(ort, compile(graph, { y }), { threads: 1 });
  const spread = (column: number[]) =>
    Float32Array.from({ length: HEAD * q.length }, (_, i) => i % HEAD > 0 ? 0 : column[i / HEAD]);
  const found = spread(q);
  await session.run(
    new Map<string, NumberArray>([["q", spread(q)], ["k", spread(k)], ["v", spread(v)]]),
    new Map([["y", found]]),
  );
  await session.release();
  return [...found].filter((_, i) => i % HEAD === 0);
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

Deno.test("the fused operator is for whole short rows of heads that it takes", () => {
  const operators = (positions: number, headDim: number, fused = true) => {
    const graph = new Graph({ fused });
    const [q, k, v] = ["q", "k", "v"].map((name) => graph.input(name, [1, positions, headDim]));
    causalAttention(q, k, v, { heads: 1, kvHeads: 1 });
    return graph.nodes.map((node) => node.op);
  };
  assert.deepEqual(operators(128, 8), ["GroupQueryAttention"]);
  for (const others of [operators(129, 8), operators(128, 12), operators(128, 8, false)]) {
    assert.ok(!others.includes("GroupQueryAttention"));
  }
});
