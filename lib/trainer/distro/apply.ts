/**
 * Applying one round's results: docs/protocol/training-math.md section 3.3.
 */
import { PsycheError } from "../../error.ts";
import type { DistroResult } from "../trainer.ts";
import { canShare, operand } from "../kernels/elementwise.ts";
import { type KernelThreads, soleThread } from "../kernels/kernel_threads.ts";
import { readEntries, readResult } from "./entries.ts";
import { type DistroHyper, distroLayout } from "./layout.ts";

/** A parameter as apply changes it, fp32 in row-major order. */
export interface ParameterData {
  name: string;
  shape: readonly number[];
  data: Float32Array;
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

/**
 * `P -= lr * sign(decode(mean of all results))` for every parameter, in place.
 *
 * The same inputs give the same bits on every machine: `lr` is rounded once to fp32; the direction
 * is computed in the fixed f64 order of decode_reference.ts; sign(0) is 0 and leaves the element untouched;
 * the step is one fp32 subtraction. All results are checked before the first element changes.
 * No results change nothing.
 *
 * @param parameters in ascending byte order of names, as in the results
 * @param results accepted results in the order agreed by all clients
 * @throws PsycheError `DISTRO_RESULT_INVALID`; the parameters are unchanged then
 */
export function applyResults(
  parameters: readonly ParameterData[],
  results: readonly DistroResult[],
  lr: number,
  hyper: DistroHyper,
  threads: KernelThreads = soleThread(),
): void {
  if (results.length === 0) return;
  for (const result of results) checkCount(parameters, result);
  const layouts = parameters.map(({ shape }) => distroLayout(shape, hyper));
  const entries = results.map((result) => readResult(result, layouts));
  const work = parameters.map(({ name, shape, data }, p) => {
    const layout = layouts[p];
    if (data.length !== layout.blocks * layout.totalk) {
      throw new PsycheError(
        "DISTRO_RESULT_INVALID",
        `Parameter ${name} holds ${data.length} elements, its shape [${shape}] says ${
          layout.blocks * layout.totalk
        }; load the model again.`,
      );
    }
    return { layout, weights: operand(data) };
  });
  const alone = !canShare(work.map(({ weights }) => weights));
  threads.run("applyBands", { parameters: work, results: entries, step: lr }, alone);
}

function checkCount(parameters: ReadonlyArray<unknown>, result: DistroResult): void {
  if (result.length !== parameters.length) {
    throw new PsycheError(
      "DISTRO_RESULT_INVALID",
      `A result has ${result.length} parameters, the model ${parameters.length}; refuse it.`,
    );
  }
}
