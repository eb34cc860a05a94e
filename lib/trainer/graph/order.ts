/** Order of nodes, which the runtime is free to choose where none needs the other. */
import { cast } from "./integers.ts";
import { add } from "./elementwise.ts";
import { reshape, slice } from "./shape.ts";
import type { Tensor } from "./tensor.ts";

/**
 * `x`, computed not before all of `done`: for work in parts that would otherwise need the memory of all
 * parts at once. Costs a copy of `x` and carries no derivative.
 *
 * @param done tensors of two axes
 */
export function after(x: Tensor, done: readonly Tensor[]): Tensor {
  if (done.length === 0) return x;
  const first = (tensor: Tensor) => reshape(slice(slice(tensor, 0, 0, 1), 1, 0, 1), []);
  const isDone = done.map(first).reduce((sum, one) => add(sum, one));
  // Chosen, not added: a NaN in what is done does not get into x.
  const always = cast(x.graph.constant([1], [], "int32"), "bool");
  return x.graph.node("Where", [always, x, isDone], x.shape, { type: x.type });
}
