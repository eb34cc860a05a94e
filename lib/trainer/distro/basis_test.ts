import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { dctBasis, exactCosine } from "./basis.ts";

Deno.test("the cosine agrees with the library's to the last bits", () => {
  for (const n of [1, 2, 3, 43, 50, 64, 1000]) {
    for (let m = 0; m <= 6 * n; m++) {
      assert.ok(
        Math.abs(exactCosine(m, n) - Math.cos((Math.PI * m) / (2 * n))) < 2e-15,
        `${m}/${n}`,
      );
    }
  }
});

Deno.test("the basis for 4 is the specification's, transposed", () => {
  const expected = [
    [.5, .5, .5, .5],
    [.6533, .2706, -.2706, -.6533],
    [.5, -.5, -.5, .5],
    [.2706, -.6533, .6533, -.2706],
  ].flat();
  dctBasis(4).forEach((value, i) => assert.ok(Math.abs(value - expected[i]) < 5e-5));
});

Deno.test("bases are orthonormal and exactly symmetric", () => {
  for (const n of [1, 2, 29, 43, 48, 64]) {
    const table = dctBasis(n);
    for (let a = 0; a < n; a++) {
      for (let b = 0; b <= a; b++) {
        let dot = 0;
        for (let j = 0; j < n; j++) dot += table[a * n + j] * table[b * n + j];
        assert.ok(Math.abs(dot - (a === b ? 1 : 0)) < 1e-6);
      }
      for (let j = 0; j < n; j++) {
        const mirrored = table[a * n + n - 1 - j];
        assert.equal(table[a * n + j] - (a % 2 === 0 ? mirrored : -mirrored), 0);
      }
    }
  }
});

Deno.test("the tables have the same bits on every machine", () => {
  const digest = (n: number) =>
    createHash("sha256").update(new Uint8Array(dctBasis(n).buffer)).digest("hex").slice(0, 16);
  assert.deepEqual([digest(43), digest(50), digest(64)], [
    "fcb343385d62d368",
    "61d95236d23a8398",
    "23ad299315db91c9",
  ]);
});
