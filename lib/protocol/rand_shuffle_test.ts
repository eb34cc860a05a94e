import assert from "node:assert/strict";
import fc from "fast-check";
import { ChaCha8, seededOrder } from "./rand_shuffle.ts";

const seed = Uint8Array.from({ length: 32 }, (_, i) => i + 1);

Deno.test("ChaCha8 with a zero key starts as specified", () => {
  const random = new ChaCha8(new Uint8Array(32));
  const words = Uint32Array.from({ length: 4 }, () => random.nextU32());
  assert.equal(
    new Uint8Array(words.buffer).toHex(),
    "3e00ef2f895f40d67f5bb8e81f09a5a1",
  );
});

Deno.test("permutations of the specification", () => {
  const vectors = [
    [3, 1, 2, 0],
    [3, 1, 2, 0, 4],
    [3, 1, 2, 6, 7, 0, 5, 4],
    [3, 1, 2, 6, 7, 9, 8, 4, 5, 0],
    [3, 1, 10, 6, 15, 9, 8, 14, 11, 12, 13, 5, 0, 2, 4, 7],
  ];
  for (const expected of vectors) {
    assert.deepEqual([...seededOrder(expected.length, seed)], expected);
  }
  assert.deepEqual([...seededOrder(0, seed)], []);
  assert.deepEqual([...seededOrder(1, seed)], [0]);
});

Deno.test("every shuffle is a permutation", () => {
  fc.assert(fc.property(
    fc.nat(3000),
    fc.uint8Array({ minLength: 32, maxLength: 32 }),
    (length, key) => {
      const sorted = seededOrder(length, key).sort();
      assert.ok(sorted.every((value, i) => value === i));
    },
  ));
});

Deno.test("uniform indices follow the 64-bit products exactly", () => {
  fc.assert(fc.property(
    fc.uint8Array({ minLength: 32, maxLength: 32 }),
    fc.integer({ min: 1, max: 2 ** 32 - 1 }),
    (key, bound) => {
      const words = new ChaCha8(key);
      const big = BigInt(bound);
      const product = BigInt(words.nextU32()) * big;
      let expected = product >> 32n;
      const low = product & 0xffffffffn;
      if (low > 2n ** 32n - big && low + ((BigInt(words.nextU32()) * big) >> 32n) >= 2n ** 32n) {
        expected++;
      }
      assert.equal(new ChaCha8(key).below(bound), Number(expected));
    },
  ));
});

Deno.test("a seed of another length is refused", () => {
  assert.throws(() => seededOrder(3, new Uint8Array(31)), { code: "SHUFFLE_SEED_INVALID" });
});
