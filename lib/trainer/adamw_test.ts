import assert from "node:assert/strict";
import { createAdamW } from "./adamw.ts";

Deno.test("AdamW follows its definition, with bias correction and decoupled decay", () => {
  const [beta1, beta2, eps, weightDecay, lr] = [0.9, 0.99, 1e-3, 0.1, 0.05];
  const data = Float32Array.of(1, -2, 0);
  const optimizer = createAdamW(
    { kind: "AdamW", betas: [beta1, beta2], eps, weightDecay, clipGradNorm: null },
    [{ name: "w", shape: [3], data, state: [new Float32Array(3), new Float32Array(3)] }],
  );
  const expected = [1, -2, 0], m = [0, 0, 0], v = [0, 0, 0];
  const run = (steps: number) => {
    for (let t = 1; t <= steps; t++) {
      const g = [Math.sin(t), 0.1 * t, 0];
      optimizer.step({ gradients: new Map([["w", Float32Array.from(g)]]), clip: 1, lr, round: t });
      for (let i = 0; i < 3; i++) {
        expected[i] -= lr * weightDecay * expected[i];
        m[i] += (1 - beta1) * (g[i] - m[i]);
        v[i] += (1 - beta2) * (g[i] ** 2 - v[i]);
        const mHat = m[i] / (1 - beta1 ** t), vHat = v[i] / (1 - beta2 ** t);
        expected[i] -= lr * mHat / (Math.sqrt(vHat) + eps);
      }
    }
    data.forEach((value, i) => assert.ok(Math.abs(value - expected[i]) < 1e-6, `${i}: ${value}`));
  };
  run(10);
  optimizer.reset();
  m.fill(0);
  v.fill(0);
  run(5);
});

Deno.test("results of another optimizer are refused", () => {
  const settings = {
    kind: "AdamW" as const,
    betas: [0.9, 0.99] as [number, number],
    eps: 1e-8,
    weightDecay: 0,
    clipGradNorm: null,
  };
  const optimizer = createAdamW(settings, []);
  optimizer.apply([[]], 0.1);
  const entry = {
    xshape: [1, 1],
    totalk: 1,
    k: 1,
    indices: new Uint8Array(1),
    values: new Uint8Array(4),
    oneBit: false,
  };
  assert.throws(() => optimizer.apply([[entry]], 0.1), { code: "OPTIMIZER_TAKES_NO_RESULTS" });
});
