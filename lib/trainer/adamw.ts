/**
 * AdamW for a single client (docs/protocol/training-math.md section 4). Our semantics: the step is
 * taken at once with the gradients of the batch, and nothing is exchanged or applied later.
 */
import { PsycheError } from "../error.ts";
import type { Optimizer as OptimizerSettings } from "../protocol/coordinator_state.ts";
import type { Parameter } from "./model/model_directory.ts";
import type { Optimizer } from "./optimizer.ts";
import type { DistroResult } from "./trainer.ts";

type AdamWSettings = Extract<OptimizerSettings, { kind: "AdamW" }>;

export function createAdamW(
  { betas: [beta1, beta2], eps, weightDecay }: AdamWSettings,
  parameters: readonly Parameter[],
): Optimizer {
  const moments = parameters.map(({ data }) => ({
    first: new Float32Array(data.length),
    second: new Float32Array(data.length),
  }));
  let steps = 0;
  return {
    reset() {
      steps = 0;
      for (const { first, second } of moments) {
        first.fill(0);
        second.fill(0);
      }
    },
    lookAhead() {},
    restore() {},
    step({ gradients, lr }) {
      steps++;
      const rate = lr / (1 - beta1 ** steps);
      const correction = 1 / Math.sqrt(1 - beta2 ** steps);
      const keep = 1 - lr * weightDecay;
      parameters.forEach(({ name, data }, p) => {
        const gradient = gradients.get(name)!;
        const { first, second } = moments[p];
        for (let i = 0; i < data.length; i++) {
          const g = gradient[i];
          const m = beta1 * first[i] + (1 - beta1) * g;
          const v = beta2 * second[i] + (1 - beta2) * g * g;
          first[i] = m;
          second[i] = v;
          data[i] = data[i] * keep - rate * m / (Math.sqrt(v) * correction + eps);
        }
      });
      return Promise.resolve([]);
    },
    apply: refuseResults,
    release: () => Promise.resolve(),
  };
}

/** Nothing is exchanged here, so results come from another optimizer. */
function refuseResults(results: readonly DistroResult[]): void {
  if (results.every((result) => result.length === 0)) return;
  throw new PsycheError(
    "OPTIMIZER_TAKES_NO_RESULTS",
    `AdamW got ${results.length} results to apply but exchanges none; run it with a single client.`,
  );
}
