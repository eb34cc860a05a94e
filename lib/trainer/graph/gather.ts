/** Reading and adding at computed positions, and their derivatives. Indices are int32 tensors. */
import { cast } from "./integers.ts";
import { reshape } from "./shape.ts";
import { type Graph, type Tensor, withDerivative } from "./tensor.ts";

/** Rows of a matrix: `[n]` indices give `[n, columns]`. */
export function gatherRows(table: Tensor, rows: Tensor): Tensor {
  const shape = [rows.shape[0], table.shape[1]];
  return withDerivative(
    table.graph.node("Gather", [table, rows], shape, { attributes: { axis: { int: 0 } } }),
    [table],
    (g) => [scatterAddRows(zeros(g.graph, table.shape), rows, g)],
  );
}

/** One element of each row: `[n, m]` and `[n]` give `[n, 1]`. */
export function gatherInRows(x: Tensor, columns: Tensor): Tensor {
  const index = cast(reshape(columns, [columns.shape[0], 1]), "int64");
  const axis = { axis: { int: 1 } };
  return withDerivative(
    x.graph.node("GatherElements", [x, index], index.shape, { attributes: axis }),
    [x],
    (g) => [
      x.graph.node("ScatterElements", [zeros(g.graph, x.shape), index, g], x.shape, {
        attributes: axis,
      }),
    ],
  );
}

/** A copy of `base` with `updates[i]` added to row `rows[i]`; rows may repeat. No derivative. */
export function scatterAddRows(base: Tensor, rows: Tensor, updates: Tensor): Tensor {
  const index = cast(reshape(rows, [rows.shape[0], 1]), "int64");
  return base.graph.node("ScatterND", [base, index, updates], base.shape, {
    attributes: { reduction: { text: "add" } },
  });
}

function zeros(graph: Graph, shape: readonly number[]): Tensor {
  return graph.node("Expand", [graph.scalar(0), graph.indices(shape)], shape);
}
