import assert from "node:assert/strict";
import { addGradients, clipFactor, gradientNorm, scaleGradients } from "./gradient_math.ts";

const gradients = () => new Map([["a", Float32Array.of(3, 0)], ["b", Float32Array.of(-4)]]);

Deno.test("norm, clipping and sums run over all parameters", () => {
  assert.equal(gradientNorm(gradients()), 5);
  const clipped = gradients();
  scaleGradients(clipped, clipFactor(5, 1));
  assert.ok(Math.abs(gradientNorm(clipped) - 1) < 1e-6);
  assert.ok(clipped.get("b")![0] < 0);
  for (const max of [null, 0, 5, 6]) assert.equal(clipFactor(5, max), 1);
  const sum = gradients();
  addGradients(sum, gradients());
  scaleGradients(sum, 0.5);
  assert.deepEqual(sum, gradients());
});

Deno.test("a gradient that is not finite is refused by name", () => {
  for (const value of [NaN, Infinity, -Infinity]) {
    const broken = gradients().set("b", Float32Array.of(value));
    assert.throws(() => gradientNorm(broken), { code: "GRADIENT_NOT_FINITE", message: / of b / });
  }
});
