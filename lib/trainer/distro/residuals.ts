/**
 * DisTrO's residuals: look-ahead, steps and compression (docs/protocol/training-math.md sections 3.1 and
 * 3.2, steps A, C, E, F and G).
 */
import { PsycheError } from "../../error.ts";
import { canShare, elementwise, operand } from "../kernels/elementwise.ts";
import { type KernelThreads, soleThread } from "../kernels/kernel_threads.ts";
import { emptyEntries, type Entries } from "./entries.ts";
import type { DistroLayout } from "./layout.ts";

/** A parameter with its residual, zeros at first, fp32 and as long as the parameter. */
export interface ResidualParameter {
  name: string;
  layout: DistroLayout;
  residual: Float32Array;
}

/** One step of all parameters. */
export interface ResidualStep {
  /** In the order of the parameters. */
  gradients: readonly Float32Array[];
  /** What was sent in the round before, subtracted first; may be empty. */
  previous: readonly Entries[];
  /** `compression_decay`. */
  decay: number;
  /** Factor of the gradient: the learning rate, times what clipping leaves. */
  rate: number;
}

export class Residuals {
  readonly #parameters: readonly ResidualParameter[];
  readonly #threads: KernelThreads;

  constructor(
    parameters: readonly ResidualParameter[],
    threads: KernelThreads = soleThread(),
  ) {
    this.#parameters = parameters;
    this.#threads = threads;
  }

  reset(): void {
    for (const { residual } of this.#parameters) residual.fill(0);
  }

  /**
   * `out = weights - rate * sign(residual)` in fp32 for every parameter; sign(0) is 0.
   *
   * @throws PsycheError `DISTRO_INPUT_INVALID` for arrays of a wrong size
   */
  lookAhead(out: readonly Float32Array[], weights: readonly Float32Array[], rate: number): void {
    this.#checkLengths(out);
    this.#checkLengths(weights);
    const arrays = this.#parameters.map(({ residual }, p) => [out[p], weights[p], residual]);
    elementwise("lookAhead", arrays, [rate], this.#threads);
  }

  /**
   * `residual = (residual - decode(mean of previous)) * decay + rate * gradient`, in fp32; then keeps
   * the `k` entries of largest magnitude of every transformed block, by descending magnitude, the lower
   * index first among equals.
   *
   * @throws PsycheError `DISTRO_INPUT_INVALID` for gradients of a wrong size, `DISTRO_NOT_FINITE` when
   * a kept entry is NaN or infinite; the residuals have changed then
   */
  step({ gradients, ...rest }: ResidualStep): Entries {
    this.#checkLengths(gradients);
    const parameters = this.#parameters.map(({ layout, residual }, p) => ({
      layout,
      residual: operand(residual),
      gradient: operand(gradients[p]),
    }));
    const operands = parameters.flatMap(({ residual, gradient }) => [residual, gradient]);
    const kept = emptyEntries(this.#parameters.map(({ layout }) => layout));
    const broken = new Uint8Array(new SharedArrayBuffer(parameters.length));
    this.#threads.run("stepBands", { parameters, kept, broken, ...rest }, !canShare(operands));
    const first = broken.indexOf(1);
    if (first < 0) return kept;
    throw new PsycheError(
      "DISTRO_NOT_FINITE",
      `The residual of ${this.#parameters[first].name} is not finite; ` +
        "discard this batch and lower the learning rate.",
    );
  }

  #checkLengths(arrays: readonly Float32Array[]): void {
    this.#parameters.forEach(({ name, residual }, p) => {
      const { length } = arrays[p];
      if (length === residual.length) return;
      throw new PsycheError(
        "DISTRO_INPUT_INVALID",
        `An array for ${name} has ${length} elements, ${residual.length} are needed; ` +
          "pass the parameter this layout was made for.",
      );
    });
  }
}
