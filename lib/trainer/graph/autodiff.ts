/** Reverse-mode differentiation: appends the backward pass to the graph of a loss. */
import { add } from "./elementwise.ts";
import { graphError, type Tensor } from "./tensor.ts";

/**
 * Gradients of a scalar `loss` with respect to each of `wrt`, in that order.
 *
 * @throws PsycheError `GRAPH_INVALID` when the loss is no scalar or does not depend on a tensor.
 */
export function gradients(loss: Tensor, wrt: readonly Tensor[]): Tensor[] {
  if (loss.shape.length !== 0) throw graphError(`A loss of shape [${loss.shape}] is no scalar`);
  const onPath = dependents(loss, new Set(wrt));
  const gradient = new Map<Tensor, Tensor>([[loss, loss.graph.scalar(1)]]);
  // Parents are created before children: descending ids visit every consumer before its producer.
  for (const tensor of [...onPath].sort((a, b) => b.id - a.id)) {
    const g = gradient.get(tensor);
    if (g === undefined || tensor.derivative === undefined) continue;
    const { parents, vjp } = tensor.derivative;
    vjp(g).forEach((part, i) => {
      const parent = parents[i];
      if (part === undefined || !onPath.has(parent)) return;
      if (part.shape.join() !== parent.shape.join()) {
        throw graphError(
          `The gradient of ${parent.name} has shape [${part.shape}] instead of [${parent.shape}]`,
        );
      }
      const before = gradient.get(parent);
      gradient.set(parent, before === undefined ? part : add(before, part));
    });
  }
  return wrt.map((tensor) => {
    const found = gradient.get(tensor);
    if (found === undefined) throw graphError(`The loss does not depend on ${tensor.name}`);
    return found;
  });
}

/** Tensors from which `loss` is computed and that depend on one of `wrt` (these included). */
function dependents(loss: Tensor, wrt: ReadonlySet<Tensor>): Set<Tensor> {
  const reached = new Set<Tensor>();
  const pending = [loss];
  while (pending.length > 0) {
    const tensor = pending.pop()!;
    if (reached.has(tensor)) continue;
    reached.add(tensor);
    pending.push(...tensor.derivative?.parents ?? []);
  }
  const dependent = new Set<Tensor>();
  for (const tensor of [...reached].sort((a, b) => a.id - b.id)) {
    if (wrt.has(tensor) || tensor.derivative?.parents.some((p) => dependent.has(p))) {
      dependent.add(tensor);
    }
  }
  return dependent;
}
