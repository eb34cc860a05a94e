/**
 * DisTrO's work on bands of blocks, for threads to share (docs/protocol/training-math.md sections 3.1 to
 * 3.3). A band is `h` rows of a matrix, or a whole vector: a contiguous part of a parameter.
 */
import type { Operand } from "../kernels/kernel_space.ts";
import { type Loop, pieceFinder } from "../kernels/loop.ts";
import { BlockKernels } from "./block_kernels.ts";
import type { Entries } from "./entries.ts";
import { type DistroLayout, entryCount } from "./layout.ts";

export interface StepTask {
  parameters: readonly { layout: DistroLayout; residual: Operand; gradient: Operand }[];
  /** What was sent in the round before. */
  previous: readonly Entries[];
  /** Gets what is kept. */
  kept: Entries;
  /** For each parameter 1 when a kept entry is NaN or infinite. */
  broken: Uint8Array<SharedArrayBuffer>;
  /** `compression_decay` */
  decay: number;
  /** Factor of the gradient. */
  rate: number;
}

/**
 * `residual = (residual - decode(mean of previous)) * decay + rate * gradient`, then the entries of
 * largest magnitude of every transformed block.
 */
export const stepBands: Loop<StepTask> = (
  { parameters, previous, kept, broken, ...numbers },
  spaces,
) =>
  bands(parameters, ({ layout, residual, gradient }, { parameter, from, entry }) => {
    const length = layout.h * layout.cols;
    const operands = [residual, gradient];
    spaces.visit(operands, { from, length, written: [0] }, (space, [residual, gradient]) => {
      const kernels = BlockKernels.of(space, layout);
      kernels.advance(residual, gradient, previous, entry, numbers);
      if (!kernels.compress(residual, kept, entry)) broken[parameter] = 1;
    });
  });

export interface ApplyTask {
  parameters: readonly { layout: DistroLayout; weights: Operand }[];
  results: readonly Entries[];
  step: number;
}

/** `weights -= step * sign(decode(mean of results))` */
export const applyBands: Loop<ApplyTask> = ({ parameters, results, step }, spaces) =>
  bands(parameters, ({ layout, weights }, { from, entry }) => {
    const length = layout.h * layout.cols;
    spaces.visit([weights], { from, length, written: [0] }, (space, [weights]) => {
      BlockKernels.of(space, layout).apply(weights, results, entry, step);
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
function bands<Parameter extends { layout: DistroLayout }>(
  parameters: readonly Parameter[],
  each: (parameter: Parameter, band: Band) => void,
) {
  const counts = parameters.map(({ layout: { leading, rows, h } }) => leading * (rows / h));
  let entries = 0;
  const starts = parameters.map(({ layout }) =>
    (entries += entryCount(layout)) - entryCount(layout)
  );
  const find = pieceFinder(counts);
  return {
    count: counts.reduce((a, b) => a + b, 0),
    run(piece: number) {
      const [parameter, within] = find(piece);
      const { h, w, cols, k } = parameters[parameter].layout;
      each(parameters[parameter], {
        parameter,
        from: within * h * cols,
        entry: starts[parameter] + within * (cols / w) * k,
      });
    },
  };
}
