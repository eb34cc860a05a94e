import assert from "node:assert/strict";
import fc from "fast-check";
import { chunkSize, distroLayout } from "./layout.ts";

Deno.test("chunk sizes are the specification's", () => {
  const vectors = [
    [96, 64, 48],
    [100, 64, 50],
    [128, 64, 64],
    [1000, 64, 50],
    [1376, 64, 43],
    [5461, 64, 43],
    [11008, 64, 64],
    [32003, 64, 1],
    [50257, 64, 29],
    [151936, 64, 64],
    [12, 3, 3],
    [12, 4, 4],
    [12, 5, 4],
    [100, 7, 5],
    [100, 26, 25],
    [100, 101, 100],
  ];
  for (const [n, target, expected] of vectors) assert.equal(chunkSize(n, target), expected);
});

Deno.test("layouts of vectors, matrices and stacks of matrices", () => {
  assert.deepEqual(distroLayout([8], { chunk: 4, topk: 9 }), {
    leading: 1,
    rows: 1,
    cols: 8,
    h: 1,
    w: 4,
    blocks: 2,
    xshape: [2, 4],
    totalk: 4,
    k: 4,
  });
  assert.deepEqual(distroLayout([3, 4, 6], { chunk: 4, topk: 0 }), {
    leading: 3,
    rows: 4,
    cols: 6,
    h: 4,
    w: 3,
    blocks: 6,
    xshape: [3, 1, 2, 4, 3],
    totalk: 12,
    k: 1,
  });
});

Deno.test("a layout covers every element once", () => {
  fc.assert(fc.property(
    fc.array(fc.integer({ min: 1, max: 90 }), { minLength: 1, maxLength: 4 }),
    fc.integer({ min: 1, max: 70 }),
    (shape, chunk) => {
      const { blocks, totalk, xshape } = distroLayout(shape, { chunk, topk: 2 });
      const product = (list: number[]) => list.reduce((a, b) => a * b, 1);
      assert.equal(blocks * totalk, product(shape));
      assert.equal(product(xshape), product(shape));
    },
  ));
});

Deno.test("impossible shapes and settings are refused", () => {
  const hyper = { chunk: 64, topk: 2 };
  const invalid = { code: "DISTRO_SHAPE_INVALID" };
  for (const shape of [[], [0], [2, -1], [1.5], [2 ** 40, 2 ** 40]]) {
    assert.throws(() => distroLayout(shape, hyper), invalid);
  }
  assert.throws(() => distroLayout([4], { chunk: 0, topk: 1 }), invalid);
  assert.throws(() => distroLayout([4], { chunk: 1, topk: -1 }), invalid);
  assert.throws(() => distroLayout([8192], { chunk: 60000, topk: 1 }), invalid);
});
