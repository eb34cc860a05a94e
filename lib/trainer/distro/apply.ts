/**
 * Applying one round's results: docs/protocol/training-math.md section 3.3.
 */
import { PsycheError } from "../../error.ts";
import type { DistroResult } from "../trainer.ts";
import { operand } from "../kernels/kernel_space.ts";
import { type KernelThreads, soleThread } from "../kernels/kernel_threads.ts";
import { byParameter, emptyEntries, type Entries, readEntries } from "./entries.ts";
import { type DistroHyper, type DistroLayout, distroLayout } from "./layout.ts";

/** A parameter as apply changes it, fp32 in row-major order. */
export interface ParameterData {
  name: string;
  shape: readonly number[];
  data: Float32Array;
}

/** A parameter that apply can let look ahead on the way, as `Residuals` do. */
export interface AppliedParameter extends ParameterData {
  lookAhead?: { residual: Float32Array; ahead: Float32Array };
}

/**
 * Checks that a result can be applied to these parameters: one entry per parameter, in the same
 * order, each well-formed with finite values. Receivers call this before they count a result as good.
 *
 * @param hyper with `oneBit` given, values must have just that form: in a run of sign bits one result
 * with full values would outweigh all others
 * @throws PsycheError `DISTRO_RESULT_INVALID`
 */
export function checkResult(
  parameters: ReadonlyArray<{ name: string; shape: readonly number[] }>,
  result: DistroResult,
  hyper: DistroHyper & { oneBit?: boolean },
): void {
  checkCount(parameters, result);
  parameters.forEach(({ name, shape }, i) => {
    if (result[i].oneBit !== (hyper.oneBit ?? result[i].oneBit)) {
      throw new PsycheError(
        "DISTRO_RESULT_INVALID",
        `The values of ${name} came as ${
          result[i].oneBit ? "sign bits" : "full values"
        }, the run has quantize_1bit ${hyper.oneBit}; refuse this result.`,
      );
    }
    readEntries(result[i], distroLayout(shape, hyper));
  });
}

/** Applies rounds of results to the same parameters. */
export class ResultApplier {
  readonly #parameters: readonly AppliedParameter[];
  readonly #layouts: readonly DistroLayout[];
  readonly #threads: KernelThreads;
  /** Room for results, by parameter. */
  #slots: readonly Entries[][] = [];
  /** For all slots. */
  #apply: (numbers: readonly number[]) => void = () => {};

  /**
   * @param parameters in ascending byte order of names, as in the results
   * @throws PsycheError `DISTRO_SHAPE_INVALID`, `DISTRO_INPUT_INVALID`
   */
  constructor(
    parameters: readonly AppliedParameter[],
    hyper: DistroHyper,
    threads: KernelThreads = soleThread(),
  ) {
    this.#parameters = parameters;
    this.#threads = threads;
    this.#layouts = parameters.map(({ name, shape, data }) => {
      const layout = distroLayout(shape, hyper);
      const wanted = layout.blocks * layout.totalk;
      if (data.length === wanted) return layout;
      throw new PsycheError(
        "DISTRO_INPUT_INVALID",
        `Parameter ${name} holds ${data.length} elements, its shape [${shape}] says ${wanted}; ` +
          "load the model again.",
      );
    });
  }

  /**
   * `P -= lr * sign(decode(mean of all results))` for every parameter, in place.
   *
   * The same inputs give the same bits on every machine: `lr` is rounded once to fp32; the direction
   * is computed in the fixed fp32 order of decode_reference.ts; sign(0) is 0 and leaves the element untouched;
   * the step is one fp32 subtraction. All results are checked before the first element changes.
   * No results change nothing.
   *
   * @param results accepted results in the order agreed by all clients
   * @param aheadRate with which the parameters that have `lookAhead` are to look ahead afterwards
   * @throws PsycheError `DISTRO_RESULT_INVALID`; the parameters are unchanged then
   */
  apply(results: readonly DistroResult[], lr: number, aheadRate?: number): void {
    for (const result of results) checkCount(this.#parameters, result);
    if (results.length > this.#slots.length) this.#prepare(results.length);
    results.forEach((result, i) =>
      this.#layouts.forEach((layout, p) => readEntries(result[p], layout, this.#slots[i][p]))
    );
    if (results.length === 0) return;
    this.#apply([lr, results.length, ...aheadRate === undefined ? [] : [aheadRate]]);
  }

  /** Room for so many results, with some to spare. */
  #prepare(count: number): void {
    const length = 2 ** Math.ceil(Math.log2(count));
    const slots = Array.from({ length }, () => emptyEntries(this.#layouts));
    this.#slots = slots.map((entries) => byParameter(entries, this.#layouts));
    const parameters = this.#parameters.map(({ data, lookAhead }, p) => ({
      layout: this.#layouts[p],
      operands: [data, ...lookAhead ? [lookAhead.residual, lookAhead.ahead] : []].map(operand),
    }));
    const operands = parameters.flatMap(({ operands }) => operands);
    this.#apply = this.#threads.loop("applyBands", { parameters, slots }, operands);
  }
}

function checkCount(parameters: ReadonlyArray<unknown>, result: DistroResult): void {
  if (result.length !== parameters.length) {
    throw new PsycheError(
      "DISTRO_RESULT_INVALID",
      `A result has ${result.length} parameters, the model ${parameters.length}; refuse it.`,
    );
  }
}
