/** DisTrO as an optimizer: docs/protocol/training-math.md section 3.2, steps A to G, and 3.3. */
import type { Optimizer as OptimizerSettings } from "../protocol/coordinator_state.ts";
import { ResultApplier } from "./distro/apply.ts";
import { byParameter, type Entries, writeEntries } from "./distro/entries.ts";
import { distroLayout } from "./distro/layout.ts";
import { Residuals } from "./distro/residuals.ts";
import { perGradients } from "./gradient_math.ts";
import { elementwise } from "./kernels/elementwise.ts";
import { type KernelThreads, soleThread } from "./kernels/kernel_threads.ts";
import type { Optimizer, TrainedParameter } from "./optimizer.ts";

type DistroSettings = Extract<OptimizerSettings, { kind: "Distro" }>;

/** What this client generated itself, with values as they were before quantization. */
interface OwnResult {
  round: number;
  entries: Entries;
}

/** @throws PsycheError `DISTRO_SHAPE_INVALID`, see {@linkcode distroLayout} */
export function createDistro(
  settings: DistroSettings,
  parameters: readonly TrainedParameter[],
  threads: KernelThreads = soleThread(),
): Optimizer {
  const hyper = { chunk: settings.compressionChunk, topk: settings.compressionTopk };
  const layouts = parameters.map(({ shape }) => distroLayout(shape, hyper));
  const weights = parameters.map(({ data }) => data);
  const residuals = new Residuals(
    parameters.map(({ name, data, state: [residual, ahead] }, p) => ({
      name,
      layout: layouts[p],
      weights: data,
      residual,
      ahead,
    })),
    threads,
  );
  const applier = new ResultApplier(
    parameters.map(({ name, shape, data, state: [residual, ahead] }) => ({
      name,
      shape,
      data,
      lookAhead: { residual, ahead },
    })),
    hyper,
    threads,
  );
  const shrink = elementwise("scale", weights.map((data) => [data]), threads);
  // Beside the weights: adding back what was subtracted would not restore every bit.
  const ahead = parameters.map(({ name, shape, state: [, data] }) => ({ name, shape, data }));
  const inOrder = perGradients((gradients) => parameters.map(({ name }) => gradients.get(name)!));
  let own: OwnResult[] = [];
  /** Rate for which the weights ahead are what they should be; null when for none. */
  let aheadRate: number | null = null;

  /** Keeps those of the rounds that are still needed. */
  const keepOf = (rounds: readonly number[]) => {
    for (const { round, entries } of own) if (!rounds.includes(round)) residuals.release(entries);
    own = own.filter(({ round }) => rounds.includes(round));
  };

  return {
    reset() {
      keepOf([]);
      residuals.reset();
      aheadRate = null;
    },

    lookAhead(previousLr) {
      if (aheadRate !== previousLr) residuals.lookAhead(previousLr);
      aheadRate = previousLr;
      return ahead;
    },

    step({ gradients, clip, lr, round }) {
      // A round number that fell back means a new epoch, which subtracts nothing of the old one.
      keepOf([round - 1, round]);
      aheadRate = null;
      const isFirstOfRound = !own.some((entry) => entry.round === round);
      const entries = residuals.step({
        gradients: inOrder(gradients),
        previous: own.filter((entry) => entry.round === round - 1).map(({ entries }) => entries),
        decay: settings.compressionDecay,
        rate: lr * clip,
      });
      own.push({ round, entries });
      const keep = 1 - lr * (settings.weightDecay ?? 0);
      // Once a round: clients that train more batches than others must not shrink their weights more.
      if (keep !== 1 && isFirstOfRound) shrink([keep]);
      return byParameter(entries, layouts)
        .map((kept, p) => writeEntries(kept, layouts[p], settings.quantize1bit));
    },

    apply(results, lr, previousLr) {
      if (results.length === 0) return;
      applier.apply(results, lr, previousLr);
      aheadRate = previousLr ?? null;
    },
  };
}
