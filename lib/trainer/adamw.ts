/**
 * AdamW for a single client (docs/protocol/training-math.md section 4). Our semantics: the step is
 * taken at once with the gradients of the batch, and nothing is exchanged or applied later.
 */
import { PsycheError } from "../error.ts";
import type { Optimizer as OptimizerSettings } from "../protocol/coordinator_state.ts";
import { perGradients } from "./gradient_math.ts";
import { elementwise } from "./kernels/elementwise.ts";
import { type KernelThreads, soleThread } from "./kernels/kernel_threads.ts";
import type { Optimizer, TrainedParameter } from "./optimizer.ts";
import type { DistroResult } from "./trainer.ts";

type AdamWSettings = Extract<OptimizerSettings, { kind: "AdamW" }>;

export function createAdamW(
  { betas: [beta1, beta2], eps, weightDecay }: AdamWSettings,
  parameters: readonly TrainedParameter[],
  threads: KernelThreads = soleThread(),
): Optimizer {
  const updateBy = perGradients((gradients) =>
    elementwise(
      "adamw",
      parameters.map(({ name, data, state }) => [data, gradients.get(name)!, ...state]),
      threads,
    )
  );
  let steps = 0;
  return {
    reset() {
      steps = 0;
      for (const { state } of parameters) state.forEach((moment) => moment.fill(0));
    },
    lookAhead: () => parameters,
    step({ gradients, clip, lr }) {
      steps++;
      // With both corrections of the moments' bias, so that the kernel has none to do.
      const rate = lr / (1 - beta1 ** steps);
      const correction = 1 / Math.sqrt(1 - beta2 ** steps);
      updateBy(gradients)([beta1, beta2, rate, correction, eps, 1 - lr * weightDecay, clip]);
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
