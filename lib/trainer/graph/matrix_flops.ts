/** Counting the work of a graph. */
import { liveNodes } from "./passes.ts";
import type { Graph, Tensor } from "./tensor.ts";

/**
 * Floating point operations of the matrix products that the runtime executes for these outputs, two
 * for every multiplication with its addition. Everything else is left out.
 */
export function matrixFlops(graph: Graph, outputs: Readonly<Record<string, Tensor>>): number {
  let flops = 0;
  for (const { op, inputs: [a], output, attributes } of liveNodes(graph, outputs).nodes) {
    if (op !== "Gemm" && op !== "MatMul") continue;
    const transA = attributes.transA ?? { int: 0 };
    const transposed = "int" in transA && Number(transA.int) === 1;
    const inner = a.shape.at(transposed ? -2 : -1)!;
    flops += 2 * inner * output.shape.reduce((x, y) => x * y, 1);
  }
  return flops;
}
