import assert from "node:assert/strict";
import fc from "fast-check";
import { bloomAdd, bloomContains, bloomPositions, createBloom, emptyBloom } from "./bloom.ts";
import { seed } from "./property_seed.ts";
import { sha256 } from "./sha256.ts";

const MASK = (1n << 64n) - 1n;

/** FNV-1a 64 in full width. */
function fnv1a(item: Uint8Array, key: bigint): bigint {
  let hash = key;
  for (const byte of item) hash = ((hash ^ BigInt(byte)) * 0x100000001b3n) & MASK;
  return hash;
}

Deno.test("vector A of section 8", () => {
  const bloom = createBloom([1n, 2n, 3n, 4n, 5n, 6n, 7n, 8n]);
  const expected = [
    [416, 175, 1002, 465, 612, 499, 606, 469],
    [859, 748, 317, 454, 703, 720, 897, 170],
    [339, 952, 9, 438, 271, 916, 645, 722],
  ];
  expected.forEach((positions, i) => {
    const item = sha256(new Uint8Array(32).fill(i + 1));
    assert.deepEqual(bloomPositions(bloom, item), positions);
    assert.ok(!bloomContains(bloom, item));
    bloomAdd(bloom, item);
    assert.ok(bloomContains(bloom, item));
  });
  assert.deepEqual([...bloom.words], [
    0x200n,
    0x0n,
    0x840000000000n,
    0x0n,
    0x2000000000008000n,
    0x80000n,
    0x40000100000000n,
    0x8000000220040n,
    0x0n,
    0x1040000000n,
    0x8000000000000020n,
    0x100000050000n,
    0x0n,
    0x8000000n,
    0x100000000100002n,
    0x40000000000n,
  ]);
});

Deno.test("vector B of section 8", () => {
  const keys = Array.from({ length: 8 }, (_, k) => (BigInt(k + 1) * 0x9E3779B97F4A7C15n) & MASK);
  const bloom = createBloom(keys);
  const item = sha256(Uint8Array.from({ length: 32 }, (_, i) => i));
  assert.deepEqual(bloomPositions(bloom, item), [165, 810, 323, 760, 977, 150, 63, 100]);
  bloomAdd(bloom, item);
  const words: Record<number, bigint> = {
    0: 0x8000000000000000n,
    1: 0x1000000000n,
    2: 0x2000400000n,
    5: 0x8n,
    11: 0x100000000000000n,
    12: 0x40000000000n,
    15: 0x20000n,
  };
  assert.deepEqual([...bloom.words], Array.from({ length: 16 }, (_, i) => words[i] ?? 0n));
});

Deno.test("ten bits of hash state give the positions of all 64", () => {
  fc.assert(
    fc.property(
      fc.uint8Array({ maxLength: 64 }),
      fc.array(fc.bigInt(0n, MASK), { minLength: 8, maxLength: 8 }),
      (item, keys) => {
        assert.deepEqual(
          bloomPositions(createBloom(keys), item),
          keys.map((key) => Number(fnv1a(item, key) % 1024n)),
        );
      },
    ),
    { seed: seed() },
  );
});

Deno.test("the empty filter contains nothing, other numbers of keys are refused", () => {
  assert.ok(!bloomContains(emptyBloom(), sha256()));
  assert.throws(() => createBloom([1n]), { code: "BLOOM_KEYS_INVALID" });
});
