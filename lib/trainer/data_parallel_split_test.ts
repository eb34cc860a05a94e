import assert from "node:assert/strict";
import fc from "fast-check";
import { splitBatch } from "./data_parallel_split.ts";

const LENGTH = 3;
const batchOf = (rows: number) => ({
  batch: rows,
  tokens: Int32Array.from({ length: rows * LENGTH }, (_, i) => i),
  labels: Int32Array.from({ length: rows * LENGTH }, (_, i) => -i),
  positionIds: Int32Array.from({ length: rows * LENGTH }, (_, i) => 2 * i),
  sequenceLengths: Array.from({ length: rows }, (_, i) => [i]),
});

Deno.test("the first ranks get the rows that are left over; ranks without rows are left out", () => {
  const sizes = (rows: number, ranks: number) =>
    splitBatch(batchOf(rows), ranks).map((part) => part.batch);
  assert.deepEqual(sizes(8, 2), [4, 4]);
  assert.deepEqual(sizes(7, 3), [3, 2, 2]);
  assert.deepEqual(sizes(11, 4), [3, 3, 3, 2]);
  assert.deepEqual(sizes(2, 4), [1, 1]);
  assert.deepEqual(sizes(5, 1), [5]);
});

Deno.test("the parts, one after the other, are the batch", () => {
  fc.assert(fc.property(fc.integer({ min: 1, max: 40 }), fc.integer({ min: 1, max: 9 }), (n, d) => {
    const whole = batchOf(n);
    const parts = splitBatch(whole, d);
    assert.equal(parts.length, Math.min(n, d));
    for (const key of ["tokens", "labels", "positionIds"] as const) {
      assert.deepEqual(parts.flatMap((part) => [...part[key]!]), [...whole[key]]);
      for (const part of parts) assert.equal(part[key]!.length, part.batch * LENGTH);
    }
    assert.deepEqual(parts.flatMap((part) => part.sequenceLengths!), whole.sequenceLengths);
    const [plain] = splitBatch({ batch: n, tokens: whole.tokens }, d);
    assert.equal(plain.labels ?? plain.positionIds ?? plain.sequenceLengths, undefined);
  }));
});
