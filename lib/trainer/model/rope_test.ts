import assert from "node:assert/strict";
import { nanoConfig } from "./llama_config.ts";
import { ropeFrequencies } from "./rope.ts";

Deno.test("llama3 scaling of rotary frequencies matches the vector of the specification", () => {
  const frequencies = ropeFrequencies({
    ...nanoConfig(8),
    hiddenSize: 64,
    heads: 1,
    ropeTheta: 500_000,
    ropeScaling: {
      kind: "llama3",
      factor: 32,
      lowFrequencyFactor: 1,
      highFrequencyFactor: 4,
      originalLength: 8192,
    },
  });
  const expected: [number, number][] = [
    [0, 1],
    [1, 0.6636012],
    [8, 0.0376060],
    [14, 0.003211446],
    [15, 0.001290548],
    [16, 0.0004295568],
    [17, 9.708288e-5],
    [18, 1.946164e-5],
    [31, 9.418307e-8],
  ];
  for (const [i, value] of expected) {
    assert.ok(Math.abs(frequencies[i] / value - 1) < 2e-6, `${i}: ${frequencies[i]}`);
  }
});

Deno.test("yarn keeps fast frequencies, stretches slow ones by the factor on theta, blends between", () => {
  const headDim = 64, theta = 10_000, factor = 4;
  const frequencies = ropeFrequencies({
    ...nanoConfig(8),
    hiddenSize: headDim,
    heads: 1,
    ropeTheta: theta,
    ropeScaling: {
      kind: "yarn",
      factor,
      betaFast: 32,
      betaSlow: 1,
      originalLength: 4096,
      mscale: 1,
      mscaleAllDim: 1,
    },
  });
  const plain = (i: number) => theta ** (-2 * i / headDim);
  const stretched = (i: number) => (theta * factor) ** (-2 * i / headDim);
  // 64 ln(4096 / 64 pi) / (2 ln 10000) = 10.4 and 64 ln(4096 / 2 pi) / (2 ln 10000) = 22.5.
  const [first, last] = [10, 23];
  frequencies.forEach((found, i) => {
    const share = Math.min(1, Math.max(0, (i - first) / (last - first)));
    const expected = (1 - share) * plain(i) + share * stretched(i);
    assert.ok(Math.abs(found / expected - 1) < 1e-6, `${i}: ${found} instead of ${expected}`);
  });
});
