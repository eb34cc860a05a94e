/** From a graph under construction to the bytes of an ONNX model: merge equal nodes, drop dead ones. */
import { ELEMENT_TYPES, encodeModel, type OnnxNode } from "../onnx/proto.ts";
import { type Graph, graphError, type GraphNode, type Tensor } from "./tensor.ts";

/**
 * First output of every model, an empty list: the runtime's binding copies outputs one after the other
 * until it meets one that is no tensor, and `Session` wants none of the copies.
 */
export const COPY_STOP = "copy stop";

/** Every node once: of nodes with the same operator, operands and attributes the first stays. */
export function mergeEqualNodes(
  nodes: readonly GraphNode[],
): { nodes: GraphNode[]; replaced: Map<Tensor, Tensor> } {
  const replaced = new Map<Tensor, Tensor>();
  const first = new Map<string, readonly Tensor[]>();
  const kept: GraphNode[] = [];
  for (const node of nodes) {
    const inputs = node.inputs.map((input) => input && (replaced.get(input) ?? input));
    const key = JSON.stringify([
      node.domain,
      node.op,
      inputs.map((input) => input?.id),
      node.attributes,
    ]);
    const equal = first.get(key);
    if (equal !== undefined) {
      node.outputs.forEach((output, i) => replaced.set(output, equal[i]));
      continue;
    }
    first.set(key, node.outputs);
    kept.push({ ...node, inputs });
  }
  return { nodes: kept, replaced };
}

/** Nodes that `wanted` depends on; the runtime would run the others too. */
export function dropDeadNodes(
  nodes: readonly GraphNode[],
  wanted: Iterable<Tensor>,
): { nodes: GraphNode[]; used: Set<Tensor> } {
  const used = new Set(wanted);
  const live = nodes.toReversed().filter((node) => {
    if (!node.outputs.some((output) => used.has(output))) return false;
    for (const input of node.inputs) if (input !== undefined) used.add(input);
    return true;
  });
  return { nodes: live.reverse(), used };
}

/** What has to be executed for `outputs` (by output name), each as the tensor that stands for it. */
export function liveNodes(graph: Graph, outputs: Readonly<Record<string, Tensor>>) {
  const merged = mergeEqualNodes(graph.nodes);
  const results = Object.entries(outputs).map(([name, tensor]) => {
    if (graph.inputs.some((input) => input.name === name)) {
      throw graphError(`Output ${name} has the name of an input`);
    }
    return { name, tensor: merged.replaced.get(tensor) ?? tensor };
  });
  return { results, ...dropDeadNodes(merged.nodes, results.map((result) => result.tensor)) };
}

/**
 * Serialises the part of `graph` that computes `outputs` (by output name).
 *
 * @throws PsycheError `GRAPH_INVALID` when an output name is also an input name.
 */
export function compile(
  graph: Graph,
  outputs: Readonly<Record<string, Tensor>>,
): Uint8Array<ArrayBuffer> {
  const { results, nodes, used } = liveNodes(graph, outputs);
  return encodeModel({
    name: "psyche",
    inputs: graph.inputs.filter((input) => used.has(input)),
    outputs: [
      { name: COPY_STOP, type: graph.float, shape: [], list: true },
      ...results.map(({ name, tensor }) => ({ name, type: tensor.type, shape: tensor.shape })),
    ],
    initializers: [...graph.constants]
      .filter(({ tensor }) => used.has(tensor))
      .map(({ tensor, bytes }) => ({
        name: tensor.name,
        type: tensor.type,
        shape: tensor.shape,
        bytes,
      })),
    nodes: [
      ...nodes.map(({ op, domain, inputs, outputs, attributes }): OnnxNode => ({
        op,
        domain,
        inputs: inputs.map((input) => input?.name ?? ""),
        outputs: outputs.map((output) => output.name),
        attributes,
      })),
      {
        op: "SequenceEmpty",
        inputs: [],
        outputs: [COPY_STOP],
        attributes: { dtype: { int: ELEMENT_TYPES[graph.float] } },
      },
      // Naming through Identity lets one tensor be several outputs; the runtime removes the copies.
      ...results.map(({ name, tensor }): OnnxNode => ({
        op: "Identity",
        inputs: [tensor.name],
        outputs: [name],
      })),
    ],
  });
}
