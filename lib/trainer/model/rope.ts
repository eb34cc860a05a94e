/** Rotary position embedding (docs/protocol/training-math.md section 5.1). */
import { add, mul, neg } from "../graph/elementwise.ts";
import { concat, slice } from "../graph/shape.ts";
import { type Tensor, withDerivative } from "../graph/tensor.ts";
import type {
  Llama3RopeScaling,
  LlamaConfig,
  RopeScaling,
  YarnRopeScaling,
} from "./llama_config.ts";

/** Angular frequency of each pair of a head, after the configured scaling; length headDim/2. */
export function ropeFrequencies(config: LlamaConfig): Float32Array {
  const { ropeScaling: scaling, ropeTheta: theta } = config;
  const headDim = config.hiddenSize / config.heads;
  return Float32Array.from({ length: headDim / 2 }, (_, i) => {
    const frequency = theta ** (-2 * i / headDim);
    switch (scaling?.kind) {
      case undefined:
        return frequency;
      case "llama3":
        return llama3Frequency(frequency, scaling);
      case "yarn": {
        const stretched = (theta * scaling.factor) ** (-2 * i / headDim);
        return blend(frequency, stretched, yarnRamp(i, headDim, theta, scaling));
      }
    }
  });
}

function llama3Frequency(frequency: number, scaling: Llama3RopeScaling): number {
  const { factor, lowFrequencyFactor: low, highFrequencyFactor: high, originalLength } = scaling;
  const wavelength = 2 * Math.PI / frequency;
  if (wavelength < originalLength / high) return frequency;
  if (wavelength > originalLength / low) return frequency / factor;
  const kept = (originalLength / wavelength - low) / (high - low);
  return blend(frequency, frequency / factor, 1 - kept);
}

/** 0 where pair `i` keeps its frequency, 1 where it is stretched, linear between. */
function yarnRamp(i: number, headDim: number, theta: number, scaling: YarnRopeScaling): number {
  // The pair, as a real number, that turns `rotations` times over the original length.
  const pairOf = (rotations: number) =>
    headDim * Math.log(scaling.originalLength / (rotations * 2 * Math.PI)) / (2 * Math.log(theta));
  const first = Math.max(0, Math.floor(pairOf(scaling.betaFast)));
  const last = Math.min(headDim - 1, Math.ceil(pairOf(scaling.betaSlow)));
  return Math.min(1, Math.max(0, (i - first) / Math.max(last - first, 1e-3)));
}

function blend(from: number, to: number, share: number): number {
  return (1 - share) * from + share * to;
}

/** Factor on cosine and sine: yarn's long contexts sharpen attention. */
function tableScale(scaling: RopeScaling | null): number {
  if (scaling?.kind !== "yarn" || scaling.factor <= 1) return 1;
  const sharpen = (weight: number) => 0.1 * weight * Math.log(scaling.factor) + 1;
  return sharpen(scaling.mscale) / sharpen(scaling.mscaleAllDim);
}

/**
 * Rotates `x` of shape [batch, heads, positions, headDim] by its positions 0, 1, 2, … and multiplies
 * it by `scale`. The attention scale of queries rides along in the table, which costs nothing.
 */
export function rotate(x: Tensor, config: LlamaConfig, scale = 1): Tensor {
  const positions = x.shape[2];
  const frequencies = ropeFrequencies(config);
  const angles = Float32Array.from(
    { length: positions * frequencies.length },
    (_, i) => Math.floor(i / frequencies.length) * frequencies[i % frequencies.length],
  );
  const factor = scale * tableScale(config.ropeScaling);
  const cos = Float64Array.from(angles, (angle) => factor * Math.cos(angle));
  const sin = Float64Array.from(angles, (angle) => factor * Math.sin(angle));
  return x.graph.float === "float64"
    ? rotateByParts(x, cos, sin)
    : rotateFused(x, cos, sin, cos.length / positions);
}

/**
 * Cosines and sines of one position, each [headDim], for {@linkcode rotateRow}.
 *
 * @param frequencies of {@linkcode ropeFrequencies}
 */
export function rotaryRow(
  config: LlamaConfig,
  frequencies: Float32Array,
  position: number,
): { cos: Float32Array<ArrayBuffer>; sin: Float32Array<ArrayBuffer> } {
  const scale = tableScale(config.ropeScaling);
  const half = frequencies.length;
  const angle = (i: number) => Math.fround(position * frequencies[i % half]);
  const table = (f: (angle: number) => number) =>
    Float32Array.from({ length: 2 * half }, (_, i) => scale * f(angle(i)));
  return { cos: table(Math.cos), sin: table(Math.sin) };
}

/** Rotates heads `x` [heads, headDim] of one position by its table row, each [1, headDim]. */
export function rotateRow(x: Tensor, cos: Tensor, sin: Tensor): Tensor {
  const headDim = x.shape[1];
  const halves = [slice(x, 1, 0, headDim / 2), slice(x, 1, headDim / 2, headDim)];
  return add(mul(x, cos), mul(concat([neg(halves[1]), halves[0]], 1), sin));
}

/** The runtime's own operator; rotating a gradient back is the same with the sine negated. */
function rotateFused(x: Tensor, cos: Float64Array, sin: Float64Array, half: number): Tensor {
  const { graph } = x;
  const [batch, , positions] = x.shape;
  const ids = Array.from({ length: batch * positions }, (_, i) => i % positions);
  const y = graph.node("RotaryEmbedding", [
    x,
    graph.constant(cos, [positions, half]),
    graph.constant(sin, [positions, half]),
    graph.constant(ids, [batch, positions], "int64"),
  ], x.shape);
  return withDerivative(y, [x], (g) => [rotateFused(g, cos, sin.map((s) => -s), half)]);
}

/** The same from elementary operators, for graphs in float64. */
function rotateByParts(x: Tensor, cos: Float64Array, sin: Float64Array): Tensor {
  const [, , positions, headDim] = x.shape;
  const table = (half: Float64Array) => {
    const row = x.graph.constant(half, [positions, headDim / 2]);
    return concat([row, row], 1);
  };
  const halves = [slice(x, 3, 0, headDim / 2), slice(x, 3, headDim / 2, headDim)];
  return add(mul(x, table(cos)), mul(concat([neg(halves[1]), halves[0]], 3), table(sin)));
}
