/** The optimizer of a run's configuration. */
import { PsycheError } from "../error.ts";
import type { Optimizer as OptimizerSettings } from "../protocol/coordinator_state.ts";
import { createAdamW } from "./adamw.ts";
import { createDistro } from "./distro_optimizer.ts";
import type { KernelThreads } from "./kernels/kernel_threads.ts";
import type { Optimizer, TrainedParameter } from "./optimizer.ts";

/** @throws PsycheError `OPTIMIZER_UNSUPPORTED` */
export function createOptimizer(
  settings: OptimizerSettings,
  parameters: readonly TrainedParameter[],
  threads: KernelThreads,
): Optimizer {
  switch (settings.kind) {
    case "Distro":
      return createDistro(settings, parameters, threads);
    case "AdamW":
      return createAdamW(settings, parameters, threads);
    case "Dummy":
      throw new PsycheError(
        "OPTIMIZER_UNSUPPORTED",
        "The optimizer Dummy trains nothing; set Distro or AdamW in the run's configuration.",
      );
  }
}
