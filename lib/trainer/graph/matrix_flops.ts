/** Counting the work of a graph. */
import { liveNodes } from "./passes.ts";
import { type Graph, type GraphNode, size, type Tensor } from "./tensor.ts";

/**
 * Floating point operations of the matrix products that the runtime executes for these outputs, two
 * for every multiplication with its addition. Everything else is left out.
 */
export function matrixFlops(graph: Graph, outputs: Readonly<Record<string, Tensor>>): number {
  return liveNodes(graph, outputs).nodes.reduce((sum, node) => sum + flopsOf(node), 0);
}

function flopsOf({ op, inputs, outputs, attributes }: GraphNode): number {
  switch (op) {
    case "Gemm":
    case "MatMul": {
      const transA = attributes.transA ?? { int: 0 };
      const transposed = "int" in transA && Number(transA.int) === 1;
      const inner = inputs[0]!.shape.at(transposed ? -2 : -1)!;
      return 2 * inner * size(outputs[0].shape);
    }
    case "GroupQueryAttention": {
      // Scores and mixed values, whole squares both; a head's size is the inner length of the one
      // and the width of the other.
      const [, keys, , scores] = outputs;
      return 4 * keys.shape.at(-1)! * size(scores.shape);
    }
    default:
      return 0;
  }
}
