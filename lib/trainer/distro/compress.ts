/**
 * A step of one parameter's residual and its compression: docs/protocol/training-math.md sections 3.1
 * and 3.2, steps C, E, F and G. One pass over residual and gradient, band by band.
 */
import { PsycheError } from "../../error.ts";
import { bands, type BlockKernels, blockKernels } from "./block_kernels.ts";
import type { Entries } from "./entries.ts";
import type { DistroLayout } from "./layout.ts";

/** One parameter within a step; arrays are fp32, row-major, as long as the parameter. */
export interface ResidualStep {
  /** For messages. */
  name: string;
  layout: DistroLayout;
  /** Changed in place. */
  residual: Float32Array;
  gradient: Float32Array;
  /** What was sent in the round before, subtracted first; may be empty. */
  previous: readonly Entries[];
  /** `compression_decay`. */
  decay: number;
  /** Factor of the gradient: the learning rate, times what clipping leaves. */
  rate: number;
}

/**
 * `residual = (residual - decode(mean of previous)) * decay + rate * gradient`, in fp32; then keeps the
 * `k` entries of largest magnitude of every transformed block, by descending magnitude, the lower index
 * first among equals.
 *
 * @throws PsycheError `DISTRO_INPUT_INVALID` for arrays of a wrong size, `DISTRO_NOT_FINITE` when a kept
 * entry is NaN or infinite; the residual has changed then
 */
export function stepAndCompress(step: ResidualStep): Entries {
  const { layout, residual, gradient, previous, decay, rate } = step;
  checkLength(step, gradient);
  const change = (kernels: BlockKernels, block: number, offset: number) => {
    const { target } = kernels;
    kernels.gradient.set(gradient.subarray(offset, offset + target.length));
    if (previous.length === 0) return kernels.decayAndAdd(target.length, decay, rate);
    for (let at = 0; at < layout.cols; at += layout.w) {
      kernels.subtract(block++, previous, at, decay, rate);
    }
  };
  return compressBands(step, (kernels, block, offset) => {
    change(kernels, block, offset);
    residual.set(kernels.target, offset);
  });
}

/** The compression alone; see {@linkcode stepAndCompress}. */
export function compress(from: Pick<ResidualStep, "name" | "layout" | "residual">): Entries {
  return compressBands(from, () => {});
}

function compressBands(
  step: Pick<ResidualStep, "name" | "layout" | "residual">,
  change: (kernels: BlockKernels, block: number, offset: number) => void,
): Entries {
  const { name, layout, residual } = step;
  checkLength(step, residual);
  const count = layout.blocks * layout.k;
  const kept = { indices: new Int32Array(count), values: new Float32Array(count) };
  const kernels = blockKernels(layout);
  const { target } = kernels;
  for (const { block, offset } of bands(layout)) {
    target.set(residual.subarray(offset, offset + target.length));
    change(kernels, block, offset);
    if (kernels.compress(block, kept)) continue;
    throw new PsycheError(
      "DISTRO_NOT_FINITE",
      `The residual of ${name} is not finite; discard this batch and lower the learning rate.`,
    );
  }
  return kept;
}

function checkLength({ name, layout }: Pick<ResidualStep, "name" | "layout">, data: Float32Array) {
  const needed = layout.blocks * layout.totalk;
  if (data.length === needed) return;
  throw new PsycheError(
    "DISTRO_INPUT_INVALID",
    `The residual or gradient of ${name} has ${data.length} elements, ${needed} are needed; ` +
      "pass the parameter this layout was made for.",
  );
}
