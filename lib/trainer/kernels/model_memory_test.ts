import assert from "node:assert/strict";
import { placeOf } from "./kernel_memory.ts";
import { ModelMemory } from "./model_memory.ts";

Deno.test("arrays of one parameter lie in one memory, together with others while there is room", () => {
  const memory = new ModelMemory();
  const idsOf = (arrays: Float32Array[]) => arrays.map((array) => placeOf(array)!.id);
  const small = idsOf(memory.take(1000, 4));
  assert.equal(new Set(small).size, 1);
  assert.deepEqual(idsOf(memory.take(5, 4)), small);
  // Nothing is written to them, so the machine does not feel their size.
  const half = idsOf(memory.take(2 ** 25, 4));
  assert.deepEqual(half, small);
  const next = idsOf(memory.take(2 ** 25, 4));
  assert.equal(new Set(next).size, 1);
  assert.notEqual(next[0], small[0]);
});

Deno.test("what is too large for one memory lies apart, and what is for any is an ordinary array", () => {
  const memory = new ModelMemory();
  const apart = memory.take(2 ** 29, 3).map((array) => placeOf(array)!.id);
  assert.equal(new Set(apart).size, 3);
  const [ordinary] = memory.take(2 ** 30 - 1);
  assert.equal(placeOf(ordinary), null);
  assert.equal(ordinary.length, 2 ** 30 - 1);
});
