/** Elementwise operators with broadcasting, and their derivatives. */
import { reduceSum, reshape } from "./shape.ts";
import { graphError, type Tensor, withDerivative } from "./tensor.ts";

function broadcastShape(op: string, a: Tensor, b: Tensor): number[] {
  const rank = Math.max(a.shape.length, b.shape.length);
  return Array.from({ length: rank }, (_, axis) => {
    const left = a.shape[axis - rank + a.shape.length] ?? 1;
    const right = b.shape[axis - rank + b.shape.length] ?? 1;
    if (left !== right && left !== 1 && right !== 1) {
      throw graphError(`${op} cannot broadcast [${a.shape}] with [${b.shape}]`);
    }
    return left === 1 ? right : left;
  });
}

/** Sums a gradient over the axes along which its operand was broadcast. */
function unbroadcast(gradient: Tensor, shape: readonly number[]): Tensor {
  const extra = gradient.shape.length - shape.length;
  const axes = gradient.shape.flatMap((length, axis) =>
    axis < extra || (shape[axis - extra] === 1 && length !== 1) ? [axis] : []
  );
  return axes.length === 0 ? gradient : reshape(reduceSum(gradient, axes), shape);
}

export function add(a: Tensor, b: Tensor): Tensor {
  return withDerivative(
    a.graph.node("Add", [a, b], broadcastShape("Add", a, b)),
    [a, b],
    (g) => [unbroadcast(g, a.shape), unbroadcast(g, b.shape)],
  );
}

export function sub(a: Tensor, b: Tensor): Tensor {
  return withDerivative(
    a.graph.node("Sub", [a, b], broadcastShape("Sub", a, b)),
    [a, b],
    (g) => [unbroadcast(g, a.shape), neg(unbroadcast(g, b.shape))],
  );
}

export function mul(a: Tensor, b: Tensor): Tensor {
  // The seed of a backward pass is the constant 1: leaving the product out saves a pass over memory.
  if (a.scalar === 1) return b;
  if (b.scalar === 1) return a;
  return withDerivative(
    a.graph.node("Mul", [a, b], broadcastShape("Mul", a, b)),
    [a, b],
    (g) => [unbroadcast(mul(g, b), a.shape), unbroadcast(mul(g, a), b.shape)],
  );
}

export function div(a: Tensor, b: Tensor): Tensor {
  const y = a.graph.node("Div", [a, b], broadcastShape("Div", a, b));
  return withDerivative(y, [a, b], (g) => {
    const da = div(g, b);
    return [unbroadcast(da, a.shape), unbroadcast(neg(mul(da, y)), b.shape)];
  });
}

function unary(op: string, x: Tensor, vjp: (g: Tensor, y: Tensor) => Tensor): Tensor {
  const y = x.graph.node(op, [x], x.shape);
  return withDerivative(y, [x], (g) => [vjp(g, y)]);
}

export function neg(x: Tensor): Tensor {
  return unary("Neg", x, (g) => neg(g));
}

export function exp(x: Tensor): Tensor {
  return unary("Exp", x, (g, y) => mul(g, y));
}

export function log(x: Tensor): Tensor {
  return unary("Log", x, (g) => div(g, x));
}

export function sqrt(x: Tensor): Tensor {
  return unary("Sqrt", x, (g, y) => div(mul(g, x.graph.scalar(0.5)), y));
}

export function reciprocal(x: Tensor): Tensor {
  return unary("Reciprocal", x, (g, y) => neg(mul(g, mul(y, y))));
}

export function sigmoid(x: Tensor): Tensor {
  return unary("Sigmoid", x, (g, y) => mul(g, mul(y, sub(x.graph.scalar(1), y))));
}

/** The larger of two; carries no derivative. */
export function maximum(a: Tensor, b: Tensor): Tensor {
  return a.graph.node("Max", [a, b], broadcastShape("Max", a, b));
}

/** `max(x, floor)` for a constant floor; carries no derivative and is for reporting only. */
export function atLeast(x: Tensor, floor: number): Tensor {
  return maximum(x, x.graph.scalar(floor));
}

/** Mean over `axes`, which stay with length 1. */
export function mean(x: Tensor, axes: readonly number[]): Tensor {
  const count = axes.reduce((n, axis) => n * x.shape[axis], 1);
  return mul(reduceSum(x, axes), x.graph.scalar(1 / count));
}
