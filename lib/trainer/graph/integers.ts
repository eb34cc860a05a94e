/** Operators on integer tensors (tokens, labels, positions) and on comparisons; none has a derivative. */
import { ELEMENT_TYPES, type ElementType } from "../onnx/proto.ts";
import type { Tensor } from "./tensor.ts";

export function cast(x: Tensor, type: ElementType): Tensor {
  if (x.type === type) return x;
  const attributes = { to: { int: ELEMENT_TYPES[type] } };
  return x.graph.node("Cast", [x], x.shape, { type, attributes });
}

/** 1 where `x` is not negative and 0 elsewhere, in the graph's float type. */
export function notNegative(x: Tensor): Tensor {
  const zero = x.graph.constant([0], [], "int32");
  const is = x.graph.node("GreaterOrEqual", [x, zero], x.shape, { type: "bool" });
  return cast(is, x.graph.float);
}

/** `max(x, floor)` of integers. */
export function integerAtLeast(x: Tensor, floor: number): Tensor {
  return x.graph.node("Max", [x, x.graph.constant([floor], [], "int32")], x.shape);
}

/** Floats of `shape`: `then` where the integers `a` and `b` (broadcast) are equal, else `otherwise`. */
export function whereEqual(
  [a, b]: [Tensor, Tensor],
  then: Tensor,
  otherwise: Tensor,
  shape: readonly number[],
): Tensor {
  const equal = a.graph.node("Equal", [a, b], shape, { type: "bool" });
  return a.graph.node("Where", [equal, then, otherwise], shape, { type: then.type });
}
