/** What a trainer does with the gradients of a batch, and how results change the weights. */
import { PsycheError } from "../error.ts";
import type { Optimizer as OptimizerSettings } from "../protocol/coordinator_state.ts";
import { createAdamW } from "./adamw.ts";
import { createDistro } from "./distro_optimizer.ts";
import type { Gradients } from "./gradient_math.ts";
import type { Parameter } from "./model/model_directory.ts";
import type { OnnxRuntime } from "./runtime/onnx_runtime.ts";
import type { DistroResult } from "./trainer.ts";

/** One batch goes through `lookAhead`, the gradients, `restore`, `step`, in this order. */
export interface Optimizer {
  /** Forgets everything learned from earlier batches. */
  reset(): void;
  /** Moves the weights to where the gradients are to be taken. */
  lookAhead(previousLr: number): void;
  /** Undoes {@linkcode lookAhead} exactly; harmless without it. */
  restore(): void;
  /** Uses clipped gradients; returns what is to be sent to the others. */
  step(batch: { gradients: Gradients; lr: number; round: number }): Promise<DistroResult>;
  /** Changes the weights by one round's results; all or nothing. */
  apply(results: readonly DistroResult[], lr: number): void;
  release(): Promise<void>;
}

export async function createOptimizer(
  ort: OnnxRuntime,
  settings: OptimizerSettings,
  parameters: readonly Parameter[],
  threads: number,
): Promise<Optimizer> {
  switch (settings.kind) {
    case "Distro":
      return await createDistro(ort, settings, parameters, threads);
    case "AdamW":
      return createAdamW(settings, parameters);
    case "Dummy":
      throw new PsycheError(
        "OPTIMIZER_UNSUPPORTED",
        "The optimizer Dummy trains nothing; set Distro or AdamW in the run's configuration.",
      );
  }
}

/** For optimizers that exchange nothing: refuses results that another optimizer made. */
export function refuseResults(results: readonly DistroResult[]): void {
  if (results.every((result) => result.length === 0)) return;
  throw new PsycheError(
    "OPTIMIZER_TAKES_NO_RESULTS",
    `AdamW got ${results.length} results to apply but exchanges none; run it with a single client.`,
  );
}
