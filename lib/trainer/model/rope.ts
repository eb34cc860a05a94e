/** Rotary position embedding (docs/protocol/training-math.md section 5.1). */
import { add, mul, neg } from "../graph/elementwise.ts";
import { cast } from "../graph/integers.ts";
import { concat, reshape, slice } from "../graph/shape.ts";
import { type Graph, type Tensor, withDerivative } from "../graph/tensor.ts";
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

/** Cosines and sines of every position, each [positions, headDim / 2] or with [batch] before that. */
interface RotaryTable {
  cos: Tensor;
  sin: Tensor;
}

/**
 * Rotates `x` of shape [batch, positions, heads * headDim] by its positions, which are 0, 1, 2, …
 * or those given as int32 [batch, positions], and multiplies it by `scale`. The attention scale of
 * queries rides along in the table, which costs nothing.
 */
export function rotate(x: Tensor, config: LlamaConfig, scale = 1, positions?: Tensor): Tensor {
  const factor = scale * tableScale(config.ropeScaling);
  const frequencies = ropeFrequencies(config);
  const table = positions === undefined
    ? countingTable(x.graph, x.shape[1], frequencies, factor)
    : givenTable(positions, frequencies, factor);
  const heads = x.shape[2] / (2 * frequencies.length);
  const turn = x.graph.float === "float64" ? rotateByParts : rotateFused;
  return turn(x, heads, table);
}

/** Table of the positions 0, 1, 2, …: constants. */
function countingTable(
  graph: Graph,
  positions: number,
  frequencies: Float32Array,
  factor: number,
): RotaryTable {
  const half = frequencies.length;
  const angles = Float32Array.from(
    { length: positions * half },
    (_, i) => Math.floor(i / half) * frequencies[i % half],
  );
  const table = (f: (angle: number) => number) =>
    graph.constant(Float64Array.from(angles, (angle) => factor * f(angle)), [positions, half]);
  return { cos: table(Math.cos), sin: table(Math.sin) };
}

/** Table of int32 positions [batch, positions], computed in every run. */
function givenTable(given: Tensor, frequencies: Float32Array, factor: number): RotaryTable {
  const { graph } = given;
  const half = frequencies.length;
  const column = cast(reshape(given, [...given.shape, 1]), "float32");
  // As in the constant table, angles are fp32 in every graph.
  const angles = cast(
    mul(column, graph.constant(frequencies, [half], "float32")),
    graph.float,
  );
  const table = (op: string) => mul(graph.node(op, [angles], angles.shape), graph.scalar(factor));
  return { cos: table("Cos"), sin: table("Sin") };
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
function rotateFused(x: Tensor, heads: number, { cos, sin }: RotaryTable): Tensor {
  const { graph } = x;
  const [batch, positions] = x.shape;
  const ids = cos.shape.length === 2 ? [countingIds(graph, batch, positions)] : [];
  const y = graph.node("RotaryEmbedding", [x, cos, sin, ...ids], x.shape, {
    attributes: { num_heads: { int: heads } },
  });
  return withDerivative(y, [x], (g) => [rotateFused(g, heads, { cos, sin: neg(sin) })]);
}

function countingIds(graph: Graph, batch: number, positions: number): Tensor {
  const ids = Array.from({ length: batch * positions }, (_, i) => i % positions);
  return graph.constant(ids, [batch, positions], "int64");
}

/** The same from elementary operators, for graphs in float64. */
function rotateByParts(x: Tensor, heads: number, { cos, sin }: RotaryTable): Tensor {
  const half = cos.shape.at(-1)!;
  const split = reshape(x, [...x.shape.slice(0, 2), heads, 2 * half]);
  const twice = (table: Tensor) => {
    const shared = reshape(table, [...table.shape.slice(0, -1), 1, half]);
    return concat([shared, shared], shared.shape.length - 1);
  };
  const turned = concat([neg(slice(split, 3, half, 2 * half)), slice(split, 3, 0, half)], 3);
  return reshape(add(mul(split, twice(cos)), mul(turned, twice(sin))), x.shape);
}
