/** Two ways to lay out attention's operands: by position, as products make them, and by head. */
import { reshape, transpose } from "../graph/shape.ts";
import type { Tensor } from "../graph/tensor.ts";

/** Heads of queries and of the keys and values that they share. */
export interface Heads {
  heads: number;
  kvHeads: number;
}

/** [batch, positions, heads * headDim] to [batch, heads, positions, headDim]. */
export function byHead(x: Tensor, heads: number): Tensor {
  const [batch, positions, columns] = x.shape;
  return transpose(reshape(x, [batch, positions, heads, columns / heads]), [0, 2, 1, 3]);
}

/** [batch, heads, positions, headDim] to [batch, positions, heads * headDim]. */
export function byPosition(x: Tensor): Tensor {
  const [batch, heads, positions, headDim] = x.shape;
  return reshape(transpose(x, [0, 2, 1, 3]), [batch, positions, heads * headDim]);
}

/** [batch, heads, headDim, positions] to [batch, positions, heads * headDim]. */
export function columnsByPosition(x: Tensor): Tensor {
  const [batch, heads, headDim, positions] = x.shape;
  return reshape(transpose(x, [0, 3, 1, 2]), [batch, positions, heads * headDim]);
}
