/** Every operator's derivative against central differences in float64. */
import assert from "node:assert/strict";
import { causalAttention } from "../model/causal_attention.ts";
import { crossEntropyHead } from "../model/cross_entropy.ts";
import { rmsNorm, swiGlu } from "../model/layers.ts";
import { nanoConfig } from "../model/llama_config.ts";
import { rotate } from "../model/rope.ts";
import { seededRandom } from "../random.ts";
import { loadOnnxRuntime } from "../runtime/onnx_runtime.ts";
import { type NumberArray, Session } from "../runtime/session.ts";
import { gradients } from "./autodiff.ts";
import {
  add,
  div,
  exp,
  log,
  mean,
  mul,
  neg,
  reciprocal,
  sigmoid,
  sqrt,
  sub,
} from "./elementwise.ts";
import { gatherInRows, gatherRows } from "./gather.ts";
import { gemm, matmul, softmax } from "./linear.ts";
import { compile } from "./passes.ts";
import { concat, expand, pad, reduceSum, reshape, slice, transpose } from "./shape.ts";
import { Graph, graphError, size, type Tensor } from "./tensor.ts";

const ort = await loadOnnxRuntime();
const EPSILON = 1e-6;
const TOLERANCE = 2e-7;

interface Case {
  shapes: number[][];
  f: (...x: Tensor[]) => Tensor;
}

const ids = (x: Tensor, values: number[]) => x.graph.constant(values, [values.length], "int32");

const CASES: Record<string, Case> = {
  "add, broadcast": { shapes: [[2, 3], [3]], f: add },
  "sub, both sides broadcast": { shapes: [[2, 1, 3], [4, 1]], f: sub },
  "mul, broadcast": { shapes: [[2, 3], [2, 1]], f: mul },
  "mul of a tensor with itself": { shapes: [[4]], f: (x) => mul(x, x) },
  "div, broadcast": { shapes: [[3], [2, 3]], f: div },
  "neg": { shapes: [[3]], f: neg },
  "exp": { shapes: [[3]], f: exp },
  "log": { shapes: [[3]], f: log },
  "sqrt": { shapes: [[3]], f: sqrt },
  "reciprocal": { shapes: [[3]], f: reciprocal },
  "sigmoid": { shapes: [[3]], f: sigmoid },
  "mean": { shapes: [[2, 3, 4]], f: (x) => mean(x, [0, 2]) },
  "reshape": { shapes: [[2, 6]], f: (x) => reshape(x, [3, 4]) },
  "transpose": { shapes: [[2, 3, 4]], f: (x) => transpose(x, [2, 0, 1]) },
  "expand": { shapes: [[2, 1, 3]], f: (x) => expand(x, [2, 4, 3]) },
  "slice": { shapes: [[2, 5]], f: (x) => slice(x, 1, 1, 4) },
  "pad": { shapes: [[2, 3]], f: (x) => pad(x, 0, 1, 2) },
  "concat": { shapes: [[2, 3], [2, 2]], f: (a, b) => concat([a, b, a], 1) },
  "reduceSum": { shapes: [[2, 3, 4]], f: (x) => reduceSum(x, [1]) },
  "gemm": { shapes: [[2, 3], [3, 4]], f: (a, b) => gemm(a, b, { alpha: 0.5 }) },
  "gemm, left transposed": { shapes: [[3, 2], [3, 4]], f: (a, b) => gemm(a, b, { transA: true }) },
  "gemm, right transposed": { shapes: [[2, 3], [4, 3]], f: (a, b) => gemm(a, b, { transB: true }) },
  "gemm, both transposed": {
    shapes: [[3, 2], [4, 3]],
    f: (a, b) => gemm(a, b, { transA: true, transB: true }),
  },
  "matmul, batched": { shapes: [[2, 2, 3, 4], [2, 2, 4, 5]], f: matmul },
  "softmax": { shapes: [[2, 5]], f: softmax },
  "gatherRows, a row twice": { shapes: [[5, 3]], f: (x) => gatherRows(x, ids(x, [4, 1, 4])) },
  "gatherInRows": { shapes: [[3, 5]], f: (x) => gatherInRows(x, ids(x, [4, 0, 4])) },
  "rmsNorm": { shapes: [[3, 8], [8]], f: (x, w) => rmsNorm(x, w, 1e-5) },
  "swiGlu": { shapes: [[2, 5], [2, 5]], f: swiGlu },
  "rotate": {
    shapes: [[2, 3, 16]],
    f: (x) => rotate(x, { ...nanoConfig(8), hiddenSize: 16, heads: 2 }, 0.7),
  },
  "causalAttention, grouped heads": {
    shapes: [[1, 5, 12], [1, 5, 6], [1, 5, 6]],
    f: (q, k, v) => causalAttention(q, k, v, { heads: 4, kvHeads: 2 }),
  },
  "causalAttention, several blocks": {
    shapes: [[1, 130, 4], [1, 130, 2], [1, 130, 2]],
    f: (q, k, v) => causalAttention(q, k, v, { heads: 2, kvHeads: 1 }),
  },
  "causalAttention, packed texts": {
    shapes: [[2, 130, 4], [2, 130, 2], [2, 130, 2]],
    f: (q, k, v) => {
      const texts = Array.from({ length: 260 }, (_, i) => Number(i % 130 > 20 + i / 4));
      const given = q.graph.constant(texts, [2, 130], "int32");
      return causalAttention(q, k, v, { heads: 2, kvHeads: 1 }, given);
    },
  },
  "rotate, given positions": {
    shapes: [[2, 3, 16]],
    f: (x) => {
      const positions = x.graph.constant([0, 5, 1, 900, 2, 2], [2, 3], "int32");
      return rotate(x, { ...nanoConfig(8), hiddenSize: 16, heads: 2 }, 0.7, positions);
    },
  },
  "crossEntropyHead": {
    shapes: [[4, 3], [6, 3]],
    f: (x, w) => crossEntropyHead(x, w, ids(x, [5, 0, 5, 2])),
  },
  "crossEntropyHead, chunks of rows": {
    shapes: [[5, 3], [6, 3]],
    f: (x, w) => crossEntropyHead(x, w, ids(x, [5, 0, 5, 2, 1]), { maxLogits: 12 }),
  },
  "crossEntropyHead, some rows count, in chunks": {
    shapes: [[5, 3], [6, 3]],
    f: (x, w) =>
      crossEntropyHead(x, w, ids(x, [-100, 0, 5, -100, 1]), { someCount: true, maxLogits: 12 }),
  },
  "crossEntropyHead, no row counts": {
    shapes: [[2, 3], [6, 3]],
    f: (x, w) => crossEntropyHead(x, w, ids(x, [-100, -100]), { someCount: true }),
  },
};

for (const [name, { shapes, f }] of Object.entries(CASES)) {
  Deno.test(`derivative of ${name}`, async () => {
    const random = seededRandom(7);
    const graph = new Graph({ float: "float64" });
    const inputs = shapes.map((shape, i) => graph.input(`x${i}`, shape));
    const y = f(...inputs);
    // A random weighting makes every element of the result count differently.
    const weights = Array.from({ length: size(y.shape) }, () => random.uniform() + 0.5);
    const weighted = mul(y, graph.constant(weights, y.shape));
    const loss = reshape(reduceSum(weighted, y.shape.map((_, axis) => axis)), []);
    const found = gradients(y.shape.length === 0 ? weighted : loss, inputs);
    const session = await Session.create(
      ort,
      compile(graph, { loss, ...Object.fromEntries(found.map((g, i) => [`g${i}`, g])) }),
      { threads: 1 },
    );
    const feeds = new Map<string, NumberArray>(shapes.map((shape, i) => [
      `x${i}`,
      Float64Array.from({ length: size(shape) }, () => random.uniform() + 0.5),
    ]));
    const value = new Float64Array(1);
    const results = new Map<string, NumberArray>(
      shapes.map((shape, i) => [`g${i}`, new Float64Array(size(shape))]),
    );
    await session.run(feeds, new Map([...results, ["loss", value]]));
    const lossAt = async () => {
      await session.run(feeds, new Map([["loss", value]]));
      return value[0];
    };
    for (let i = 0; i < shapes.length; i++) {
      const x = feeds.get(`x${i}`)!;
      const stride = Math.ceil(x.length / 24);
      for (let j = 0; j < x.length; j += stride) {
        const kept = x[j];
        x[j] = kept + EPSILON;
        const up = await lossAt();
        x[j] = kept - EPSILON;
        const expected = (up - await lossAt()) / (2 * EPSILON);
        x[j] = kept;
        const got = results.get(`g${i}`)![j];
        const error = Math.abs(got - expected) / Math.max(1, Math.abs(expected));
        assert.ok(error < TOLERANCE, `x${i}[${j}]: ${got} instead of ${expected}`);
      }
    }
    await session.release();
  });
}

Deno.test("equal nodes are merged, dead ones dropped, equal constants stored once", async () => {
  const { onnx } = (await import("onnx-proto")).default;
  const graph = new Graph();
  const x = graph.input("x", [2]);
  const unused = graph.input("unused", [2]);
  exp(unused);
  const y = add(exp(mul(x, graph.scalar(2))), exp(mul(x, graph.scalar(2))));
  const model = onnx.ModelProto.decode(compile(graph, { y, again: y }));
  assert.deepEqual(model.graph!.node!.map((n) => n.opType), [
    "Mul",
    "Exp",
    "Add",
    "SequenceEmpty",
    "Identity",
    "Identity",
  ]);
  assert.deepEqual(model.graph!.input!.map((i) => i.name), ["x"]);
  assert.equal(model.graph!.initializer!.length, 1);
});

Deno.test("shapes that do not fit are refused while the graph is built", () => {
  const graph = new Graph();
  const a = graph.input("a", [2, 3]);
  const b = graph.input("b", [2, 4]);
  const { code } = graphError("");
  for (
    const wrong of [
      () => add(a, b),
      () => gemm(a, b),
      () => matmul(a, b),
      () => reshape(a, [5]),
      () => slice(a, 1, 2, 4),
      () => transpose(a, [0, 0]),
      () => graph.input("a", [1]),
      () => graph.constant([1], [2]),
      () => gradients(a, [a]),
      () => add(a, new Graph().input("c", [2, 3])),
      () => compile(graph, { a: b }),
    ]
  ) assert.throws(wrong, { code });
});
