/**
 * AdamW for a single client (docs/protocol/training-math.md section 4). Our semantics: the step is
 * taken at once with the gradients of the batch, and nothing is exchanged or applied later.
 */
import { PsycheError } from "../error.ts";
import type { Optimizer as OptimizerSettings } from "../protocol/coordinator_state.ts";
import { AdamWMoments } from "./kernels/adamw_moments.ts";
import type { Parameter } from "./model/model_directory.ts";
import type { Optimizer } from "./optimizer.ts";
import type { DistroResult } from "./trainer.ts";

type AdamWSettings = Extract<OptimizerSettings, { kind: "AdamW" }>;

export function createAdamW(
  { betas: [beta1, beta2], eps, weightDecay }: AdamWSettings,
  parameters: readonly Parameter[],
): Optimizer {
  const weights = parameters.map(({ data }) => data);
  const moments = new AdamWMoments(weights.map(({ length }) => length));
  let steps = 0;
  return {
    reset() {
      steps = 0;
      moments.reset();
    },
    lookAhead: () => parameters,
    step({ gradients, clip, lr }) {
      steps++;
      moments.step(weights, parameters.map(({ name }) => gradients.get(name)!), {
        beta1,
        beta2,
        rate: lr / (1 - beta1 ** steps),
        correction: 1 / Math.sqrt(1 - beta2 ** steps),
        eps,
        keep: 1 - lr * weightDecay,
        clip,
      });
      return [];
    },
    apply: refuseResults,
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
