/**
 * DisTrO's work on bands of blocks, for threads to share (docs/protocol/training-math.md sections 3.1 to
 * 3.3). A band is `h` rows of a matrix, or a whole vector: a contiguous part of a parameter.
 */
import type { Operand } from "../kernels/kernel_space.ts";
import { type Loop, type Pieces, piecesOfItems } from "../kernels/loop.ts";
import { BlockKernels } from "./block_kernels.ts";
import type { Entries } from "./entries.ts";
import { type DistroLayout, entryCount } from "./layout.ts";

export interface StepTask {
  parameters: readonly { layout: DistroLayout; residual: Operand; gradient: Operand }[];
  /** Results of this client: one to be written, others to be subtracted. */
  slots: readonly Entries[];
  /** Gets for each parameter 1 when a kept entry is NaN or infinite. */
  broken: Uint8Array<SharedArrayBuffer>;
}

/**
 * `residual = (residual - decode(mean of previous)) * decay + rate * gradient`, then the entries of
 * largest magnitude of every transformed block. Runs with the decay, the rate, the slot that gets what
 * is kept and those of the previous results.
 */
export const stepBands: Loop<StepTask> = ({ parameters, slots, broken }, spaces) =>
  overBands(parameters, ({ layout, residual, gradient }, band, numbers) => {
    const [decay, rate, kept, ...previous] = numbers;
    const { from, entry, parameter } = band;
    const length = layout.h * layout.cols;
    spaces.visit([residual, gradient], { from, length, written: [0] }, (space, addresses) => {
      const [residual, gradient] = addresses;
      const kernels = BlockKernels.of(space, layout);
      const sent = previous.map((slot) => slots[slot]);
      kernels.advance(residual, gradient, sent, entry, { decay, rate });
      if (!kernels.compress(residual, slots[kept], entry)) broken[parameter] = 1;
    });
  });

export interface ApplyTask {
  /** Operands: the weights; where something looks ahead of them, the residual and the weights ahead too. */
  parameters: readonly { layout: DistroLayout; operands: readonly Operand[] }[];
  /** Room for results. */
  slots: readonly Entries[];
}

/**
 * `weights -= step * sign(decode(mean of results))`. Runs with the step and the number of results, which
 * are in the first slots; with a further number, `ahead = weights - number * sign(residual)` comes next.
 */
export const applyBands: Loop<ApplyTask> = ({ parameters, slots }, spaces) =>
  overBands(parameters, ({ layout, operands }, { from, entry }, [step, count, rate]) => {
    const length = layout.h * layout.cols;
    spaces.visit(operands, { from, length, written: [0, 2] }, (space, addresses) => {
      const [weights, residual, ahead] = addresses;
      BlockKernels.of(space, layout).apply(weights, slots.slice(0, count), entry, step);
      // While the band is in the cache.
      if (ahead === undefined || rate === undefined) return;
      space.kernels.look_ahead(ahead, weights, residual, length, rate);
    });
  });

interface Band {
  /** Number of its parameter. */
  parameter: number;
  /** First element in the parameter. */
  from: number;
  /** First entry among those of all parameters. */
  entry: number;
}

/** Every band of every parameter as a piece. */
function overBands<Parameter extends { layout: DistroLayout }>(
  parameters: readonly Parameter[],
  visit: (parameter: Parameter, band: Band, numbers: readonly number[]) => void,
): Pieces {
  const counts = parameters.map(({ layout: { leading, rows, h } }) => leading * (rows / h));
  let entries = 0;
  const starts = parameters.map(({ layout }) => {
    const start = entries;
    entries += entryCount(layout);
    return start;
  });
  return piecesOfItems(counts, (parameter, within, _, numbers) => {
    const { h, w, cols, k } = parameters[parameter].layout;
    const from = within * h * cols;
    const entry = starts[parameter] + within * (cols / w) * k;
    visit(parameters[parameter], { parameter, from, entry }, numbers);
  });
}
