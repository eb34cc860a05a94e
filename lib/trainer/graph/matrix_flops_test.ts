import assert from "node:assert/strict";
import { gradients } from "./autodiff.ts";
import { gemm, matmul } from "./linear.ts";
import { byHead } from "../model/attention_shape.ts";
import { blockedAttention } from "../model/blocked_attention.ts";
import { fusedAttention } from "../model/fused_attention.ts";
import { matrixFlops } from "./matrix_flops.ts";
import { reduceSum, reshape } from "./shape.ts";
import { Graph } from "./tensor.ts";

Deno.test("counts every executed product once, whatever its transposes", () => {
  const graph = new Graph();
  const [a, b] = [graph.input("a", [5, 3]), graph.input("b", [5, 7])];
  const y = gemm(a, b, { transA: true });
  gemm(a, a, { transB: true });
  const forward = 2 * 3 * 5 * 7;
  assert.equal(matrixFlops(graph, { y }), forward, "the dead product is not counted");
  const loss = reshape(reduceSum(y, [0, 1]), []);
  const [da, db] = gradients(loss, [a, b]);
  assert.equal(matrixFlops(graph, { loss, da, db }), 3 * forward);
});

Deno.test("counts batched products", () => {
  const graph = new Graph();
  const y = matmul(graph.input("a", [2, 4, 5, 3]), graph.input("b", [2, 4, 3, 7]));
  assert.equal(matrixFlops(graph, { y }), 2 * 8 * 5 * 3 * 7);
});

Deno.test("counts the same products for fused attention as for one block of plain operators", () => {
  const flops = (fused: boolean) => {
    const graph = new Graph({ fused });
    const [q, k, v] = [64, 32, 32].map((columns, i) => graph.input(`x${i}`, [3, 20, columns]));
    const y = fused
      ? fusedAttention(q, k, v, { heads: 4, kvHeads: 2 })
      : blockedAttention(byHead(q, 4), byHead(k, 2), byHead(v, 2));
    const loss = reshape(reduceSum(y, y.shape.map((_, axis) => axis)), []);
    const [dq, dk, dv] = gradients(loss, [q, k, v]);
    return matrixFlops(graph, { loss, dq, dk, dv });
  };
  assert.equal(flops(true), 6 * 2 * 3 * 4 * 20 * 20 * 16);
  assert.equal(flops(false), flops(true));
});
