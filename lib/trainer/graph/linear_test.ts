import assert from "node:assert/strict";
import { loadOnnxRuntime } from "../runtime/onnx_runtime.ts";
import { Session } from "../runtime/session.ts";
import { gemm, type GemmOptions } from "./linear.ts";
import { compile } from "./passes.ts";
import { Graph } from "./tensor.ts";

const ort = await loadOnnxRuntime();

/** The product of an m x k and a k x n matrix of fixed numbers. */
async function product(
  [m, n, k]: number[],
  { transA, transB, plus, ...rest }: Omit<GemmOptions, "plus"> & { plus?: boolean },
  graph: Graph,
  threads: number,
): Promise<Float32Array> {
  const values = (count: number) => Float32Array.from({ length: count }, (_, i) => Math.sin(i * i));
  const a = graph.input("a", transA ? [k, m] : [m, k]);
  const b = graph.input("b", transB ? [n, k] : [k, n]);
  const c = plus ? graph.input("c", [m, n]) : undefined;
  const y = gemm(a, b, { transA, transB, plus: c, ...rest });
  const session = await Session.create(ort, compile(graph, { y }), { threads });
  const feeds = new Map([["a", values(m * k)], ["b", values(k * n)], ["c", values(m * n)]]);
  const into = new Float32Array(m * n);
  await session.run(feeds, new Map([["y", into]]));
  await session.release();
  return into;
}

// Where the runtime's plain product of most of these depends on the number of threads.
const SIZES = [[80, 128, 384], [128, 384, 1024], [5, 64, 300], [126, 512, 512], [100, 1024, 300]];

Deno.test("products give the same bits for any number of threads", async () => {
  for (const size of SIZES) {
    for (const transB of [true, false]) {
      const of = (threads: number) =>
        product(size, { transB }, new Graph({ fused: true }), threads);
      const one = await of(1);
      for (const threads of [2, 3, 16]) {
        assert.deepEqual(await of(threads), one, `${size} with ${threads} threads`);
      }
    }
  }
});

Deno.test("a product that is turned for that is the same product", async () => {
  for (const size of SIZES) {
    for (
      const options of [{ transB: true }, { transB: false, plus: true }, {
        alpha: 0.25,
        plus: true,
      }]
    ) {
      const plain = await product(size, options, new Graph(), 1);
      const turned = await product(size, options, new Graph({ fused: true }), 1);
      plain.forEach((value, i) => {
        assert.ok(Math.abs(turned[i] - value) <= 2e-4, `${size}: ${turned[i]} is not ${value}`);
      });
    }
  }
});
