/** Rotary position embedding (docs/protocol/training-math.md section 5.1). */
import { add, mul, neg } from "../graph/elementwise.ts";
import { concat, slice } from "../graph/shape.ts";
import { type Tensor, withDerivative } from "../graph/tensor.ts";
import type { LlamaConfig } from "./llama_config.ts";

/** Angular frequency of each pair of a head, after llama3 scaling if configured; length headDim/2. */
export function ropeFrequencies(config: LlamaConfig): Float32Array {
  const headDim = config.hiddenSize / config.heads;
  return Float32Array.from({ length: headDim / 2 }, (_, i) => {
    const frequency = config.ropeTheta ** (-2 * i / headDim);
    const scaling = config.ropeScaling;
    if (scaling === null) return frequency;
    const wavelength = 2 * Math.PI / frequency;
    const { factor, lowFrequencyFactor: low, highFrequencyFactor: high } = scaling;
    if (wavelength < scaling.originalLength / high) return frequency;
    if (wavelength > scaling.originalLength / low) return frequency / factor;
    const smooth = (scaling.originalLength / wavelength - low) / (high - low);
    return (1 - smooth) * frequency / factor + smooth * frequency;
  });
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
  const cos = Float64Array.from(angles, (angle) => scale * Math.cos(angle));
  const sin = Float64Array.from(angles, (angle) => scale * Math.sin(angle));
  return x.graph.float === "float64"
    ? rotateByParts(x, cos, sin)
    : rotateFused(x, cos, sin, cos.length / positions);
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
