/** DisTrO as an optimizer: docs/protocol/training-math.md section 3.2, steps A to G, and 3.3. */
import type { Optimizer as OptimizerSettings } from "../protocol/coordinator_state.ts";
import { applyResults } from "./distro/apply.ts";
import { type Entries, writeEntries } from "./distro/entries.ts";
import { distroLayout } from "./distro/layout.ts";
import { Residuals } from "./distro/residuals.ts";
import { scale } from "./kernels/elementwise.ts";
import type { Parameter } from "./model/model_directory.ts";
import type { Optimizer } from "./optimizer.ts";

type DistroSettings = Extract<OptimizerSettings, { kind: "Distro" }>;

/** What this client generated itself, with values as they were before quantization. */
interface OwnResult {
  round: number;
  /** By parameter. */
  entries: Entries[];
}

/** @throws PsycheError `DISTRO_SHAPE_INVALID`, see {@linkcode distroLayout} */
export function createDistro(
  settings: DistroSettings,
  parameters: readonly Parameter[],
): Optimizer {
  const hyper = { chunk: settings.compressionChunk, topk: settings.compressionTopk };
  const layouts = parameters.map(({ shape }) => distroLayout(shape, hyper));
  const residuals = new Residuals(parameters.map(({ name }, p) => ({ name, layout: layouts[p] })));
  // Beside the weights: adding back what was subtracted would not restore every bit.
  const ahead = parameters.map(({ name, shape, data }) => ({
    name,
    shape,
    data: new Float32Array(data.length),
  }));
  let own: OwnResult[] = [];

  return {
    reset() {
      own = [];
      residuals.reset();
    },

    lookAhead(previousLr) {
      parameters.forEach(({ data }, p) => {
        residuals.lookAhead(p, ahead[p].data, data, previousLr);
      });
      return ahead;
    },

    step({ gradients, clip, lr, round }) {
      // A round number that fell back means a new epoch, which subtracts nothing of the old one.
      own = own.filter((entry) => entry.round === round - 1 || entry.round === round);
      const isFirstOfRound = !own.some((entry) => entry.round === round);
      const previous = own.filter((entry) => entry.round === round - 1);
      const entries = parameters.map(({ name }, p) =>
        residuals.step(p, {
          gradient: gradients.get(name)!,
          previous: previous.map((entry) => entry.entries[p]),
          decay: settings.compressionDecay,
          rate: lr * clip,
        })
      );
      own.push({ round, entries });
      const keep = 1 - lr * (settings.weightDecay ?? 0);
      // Once a round: clients that train more batches than others must not shrink their weights more.
      if (keep !== 1 && isFirstOfRound) {
        for (const { data } of parameters) scale(data, keep);
      }
      return entries.map((kept, p) => writeEntries(kept, layouts[p], settings.quantize1bit));
    },

    apply(results, lr) {
      applyResults(parameters, results, lr, hyper);
    },
  };
}
