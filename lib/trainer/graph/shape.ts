/** Operators that move, cut or sum elements, and their derivatives. */
import { graphError, size, type Tensor, withDerivative } from "./tensor.ts";

export function reshape(x: Tensor, shape: readonly number[]): Tensor {
  if (size(shape) !== size(x.shape)) {
    throw graphError(`Reshape cannot turn [${x.shape}] into [${shape}]`);
  }
  if (shape.length === x.shape.length && shape.every((n, axis) => n === x.shape[axis])) return x;
  return withDerivative(
    x.graph.node("Reshape", [x, x.graph.indices(shape)], shape),
    [x],
    (g) => [reshape(g, x.shape)],
  );
}

/** Axis `i` of the result is axis `order[i]` of `x`. */
export function transpose(x: Tensor, order: readonly number[]): Tensor {
  if ([...order].sort((a, b) => a - b).join() !== x.shape.map((_, axis) => axis).join()) {
    throw graphError(`Transpose order [${order}] does not fit shape [${x.shape}]`);
  }
  const inverse = order.map((_, axis) => order.indexOf(axis));
  return withDerivative(
    x.graph.node("Transpose", [x], order.map((axis) => x.shape[axis]), {
      attributes: { perm: { ints: order } },
    }),
    [x],
    (g) => [transpose(g, inverse)],
  );
}

/** Swaps the last two axes. */
export function transposeLast(x: Tensor): Tensor {
  const order = x.shape.map((_, axis) => axis);
  return transpose(x, [...order.slice(0, -2), order.length - 1, order.length - 2]);
}

export function expand(x: Tensor, shape: readonly number[]): Tensor {
  const fits = shape.length === x.shape.length &&
    x.shape.every((length, axis) => length === shape[axis] || length === 1);
  if (!fits) throw graphError(`Expand cannot stretch [${x.shape}] to [${shape}]`);
  const axes = shape.flatMap((length, axis) => length === x.shape[axis] ? [] : [axis]);
  if (axes.length === 0) return x;
  return withDerivative(
    x.graph.node("Expand", [x, x.graph.indices(shape)], shape),
    [x],
    (g) => [reduceSum(g, axes)],
  );
}

/** Elements `start` (included) to `end` (excluded) of one axis. */
export function slice(x: Tensor, axis: number, start: number, end: number): Tensor {
  if (start < 0 || end > x.shape[axis] || start >= end) {
    throw graphError(`Slice ${start}..${end} does not fit axis ${axis} of [${x.shape}]`);
  }
  if (start === 0 && end === x.shape[axis]) return x;
  const { graph } = x;
  return withDerivative(
    graph.node(
      "Slice",
      [x, graph.indices([start]), graph.indices([end]), graph.indices([axis])],
      x.shape.with(axis, end - start),
    ),
    [x],
    (g) => [pad(g, axis, start, x.shape[axis] - end)],
  );
}

/** Zeros before and after along one axis. */
export function pad(x: Tensor, axis: number, before: number, after: number): Tensor {
  if (before === 0 && after === 0) return x;
  const pads = x.shape.map((_, i) => i === axis ? before : 0)
    .concat(x.shape.map((_, i) => i === axis ? after : 0));
  const length = x.shape[axis];
  return withDerivative(
    x.graph.node("Pad", [x, x.graph.indices(pads)], x.shape.with(axis, before + length + after)),
    [x],
    (g) => [slice(g, axis, before, before + length)],
  );
}

export function concat(parts: readonly Tensor[], axis: number): Tensor {
  const [first] = parts;
  if (parts.length === 1) return first;
  const total = parts.reduce((sum, part) => sum + part.shape[axis], 0);
  return withDerivative(
    first.graph.node("Concat", parts, first.shape.with(axis, total), {
      attributes: { axis: { int: axis } },
    }),
    parts,
    (g) => {
      let start = 0;
      return parts.map((part) => slice(g, axis, start, start += part.shape[axis]));
    },
  );
}

/** Sum over `axes`, which stay with length 1. */
export function reduceSum(x: Tensor, axes: readonly number[]): Tensor {
  return withDerivative(reduce("ReduceSum", x, axes), [x], (g) => [expand(g, x.shape)]);
}

/** Largest over `axes`, which stay with length 1; carries no derivative. */
export function reduceMax(x: Tensor, axes: readonly number[]): Tensor {
  return reduce("ReduceMax", x, axes);
}

/** Sum of the squares over `axes`, which stay with length 1; carries no derivative. */
export function reduceSumOfSquares(x: Tensor, axes: readonly number[]): Tensor {
  return reduce("ReduceSumSquare", x, axes);
}

function reduce(op: string, x: Tensor, axes: readonly number[]): Tensor {
  const kept = x.shape.map((length, axis) => axes.includes(axis) ? 1 : length);
  return x.graph.node(op, [x, x.graph.indices(axes)], kept, {
    attributes: { keepdims: { int: 1 } },
  });
}
