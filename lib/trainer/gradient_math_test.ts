import assert from "node:assert/strict";
import { clipFactor, GradientMath } from "./gradient_math.ts";

const math = new GradientMath();
const gradients = () => new Map([["a", Float32Array.of(3, 0)], ["b", Float32Array.of(-4)]]);

Deno.test("norm, clipping and sums run over all parameters", () => {
  assert.equal(math.norm(gradients()), 5);
  const clipped = gradients();
  math.scale(clipped, clipFactor(5, 1));
  assert.ok(Math.abs(math.norm(clipped) - 1) < 1e-6);
  assert.ok(clipped.get("b")![0] < 0);
  for (const max of [null, 0, 5, 6]) assert.equal(clipFactor(5, max), 1);
  const sum = gradients();
  math.add(sum, gradients());
  math.scale(sum, 0.5);
  assert.deepEqual(sum, gradients());
});

Deno.test("a gradient that is not finite is refused by name", () => {
  for (const value of [NaN, Infinity, -Infinity]) {
    const broken = gradients().set("b", Float32Array.of(value));
    assert.throws(() => math.norm(broken), { code: "GRADIENT_NOT_FINITE", message: / of b / });
  }
});
