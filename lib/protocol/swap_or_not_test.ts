import assert from "node:assert/strict";
import fc from "fast-check";
import { seed as freshSeed } from "./property_seed.ts";
import { createShuffle, shuffleIndex } from "./swap_or_not.ts";

const filled = (byte: number) => new Uint8Array(32).fill(byte);

Deno.test("vectors of section 2", () => {
  const counting = Uint8Array.from({ length: 32 }, (_, i) => i);
  const vectors: [Uint8Array, number, number[], number[]][] = [
    [filled(0), 10, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9], [9, 7, 4, 1, 8, 0, 5, 6, 3, 2]],
    [filled(1), 100, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9], [57, 43, 2, 9, 75, 79, 41, 28, 67, 17]],
    [counting, 1000, [0, 1, 2, 255, 256, 257, 500, 767, 768, 999], [
      351,
      409,
      372,
      144,
      117,
      727,
      157,
      258,
      550,
      868,
    ]],
    [filled(7), 1, [0], [0]],
    [filled(7), 2, [0, 1], [0, 1]],
  ];
  for (const [seed, count, inputs, outputs] of vectors) {
    assert.deepEqual(inputs.map((index) => shuffleIndex(index, count, seed)), outputs);
  }
});

Deno.test("every shuffle is a bijection", () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 600 }),
      fc.uint8Array({ minLength: 32, maxLength: 32 }),
      (count, seed) => {
        const places = Array.from({ length: count }, (_, i) => i).map(createShuffle(count, seed));
        assert.deepEqual(places.toSorted((a, b) => a - b), [...places.keys()]);
      },
    ),
    { seed: freshSeed(), numRuns: 20 },
  );
});

Deno.test("indices outside of the range are refused", () => {
  for (const [index, count] of [[0, 0], [5, 5], [-1, 5], [0.5, 5], [NaN, 5]]) {
    assert.throws(() => shuffleIndex(index, count, filled(0)), {
      code: "SHUFFLE_INDEX_OUT_OF_RANGE",
    });
  }
});
