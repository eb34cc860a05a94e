/**
 * DCT, magnitude and top-k of all parameters as one ONNX graph: docs/protocol/training-math.md
 * section 3.1. The matrix products are the reason: the runtime does them about six times faster than
 * typed-array loops.
 */
import { encodeModel, type OnnxInitializer, type OnnxNode, type OnnxValue } from "../onnx/proto.ts";
import { dctBasis } from "./basis.ts";
import type { DistroLayout } from "./layout.ts";

/** Names and input shape of one parameter within the graph. */
export interface CompressPort {
  input: string;
  /** `[matrices * block rows, h, cols]`: the parameter's own memory, seen as bands of blocks. */
  inputShape: [number, number, number];
  /** Output with the kept indices, int32 `[blocks, k]`, descending magnitude. */
  indices: string;
  /** Output with the kept values, fp32 `[blocks, k]`. */
  values: string;
}

/** Serialised graph and the names of its inputs and outputs, in the order of the layouts. */
export function buildCompressGraph(
  layouts: readonly DistroLayout[],
): { model: Uint8Array<ArrayBuffer>; ports: CompressPort[] } {
  const graph = new GraphParts();
  const ports = layouts.map((layout, i) => addParameter(graph, layout, i));
  const model = encodeModel({ name: "distro_compress", ...graph });
  return { model, ports };
}

/** The pieces of an ONNX graph under construction; equal constants are stored once. */
class GraphParts {
  readonly inputs: OnnxValue[] = [];
  readonly outputs: OnnxValue[] = [];
  readonly initializers: OnnxInitializer[] = [];
  readonly nodes: OnnxNode[] = [];
  readonly #constants = new Set<string>();

  constant(name: string, make: () => Omit<OnnxInitializer, "name">): string {
    if (!this.#constants.has(name)) {
      this.#constants.add(name);
      this.initializers.push({ name, ...make() });
    }
    return name;
  }

  integers(values: readonly number[]): string {
    return this.constant(`shape_${values.join("_")}`, () => ({
      type: "int64",
      shape: [values.length],
      bytes: new Uint8Array(new BigInt64Array(values.map(BigInt)).buffer),
    }));
  }

  /** The basis with one row per frequency, or its transpose with one column per frequency. */
  basis(n: number, transposed: boolean): string {
    return this.constant(`basis_${n}${transposed ? "_t" : ""}`, () => {
      const table = dctBasis(n);
      const data = transposed ? new Float32Array(n * n) : table;
      if (transposed) {
        for (let k = 0; k < n; k++) for (let j = 0; j < n; j++) data[j * n + k] = table[k * n + j];
      }
      return { type: "float32", shape: [n, n], bytes: new Uint8Array(data.buffer) };
    });
  }
}

function addParameter(graph: GraphParts, layout: DistroLayout, i: number): CompressPort {
  const { leading, rows, cols, h, w, blocks, totalk, k } = layout;
  const bands = leading * (rows / h);
  let next = 0;
  const node = (
    op: string,
    inputs: string[],
    attributes?: OnnxNode["attributes"],
    outputs = [`t${i}_${next++}`],
  ) => {
    graph.nodes.push({ op, inputs, outputs, attributes });
    return outputs[0];
  };

  const port: CompressPort = {
    input: `residual_${i}`,
    inputShape: [bands, h, cols],
    indices: `indices_${i}`,
    values: `values_${i}`,
  };
  graph.inputs.push({ name: port.input, type: "float32", shape: port.inputShape });

  let x = port.input;
  // An edge of 1 has the basis [1]: nothing to do along it.
  if (h > 1) x = node("MatMul", [graph.basis(h, false), x]);
  if (w > 1) {
    x = node("Reshape", [x, graph.integers([blocks * h, w])]);
    x = node("MatMul", [x, graph.basis(w, true)]);
  }
  if (h > 1) {
    x = node("Reshape", [x, graph.integers([bands, h, cols / w, w])]);
    x = node("Transpose", [x], { perm: { ints: [0, 2, 1, 3] } });
  }
  const flat = node("Reshape", [x, graph.integers([blocks, totalk])]);
  const size = node("Abs", [flat]);
  const top = `top${i}`;
  node(
    "TopK",
    [size, graph.integers([k])],
    { axis: { int: 1 }, largest: { int: 1 }, sorted: { int: 1 } },
    [`size${i}`, top],
  );
  node("GatherElements", [flat, top], { axis: { int: 1 } }, [port.values]);
  node("Cast", [top], { to: { int: 6 } }, [port.indices]);
  graph.outputs.push(
    { name: port.indices, type: "int32", shape: [blocks, k] },
    { name: port.values, type: "float32", shape: [blocks, k] },
  );
  return port;
}
