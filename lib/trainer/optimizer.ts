/** What a trainer does with the gradients of a batch, and how results change the weights. */
import type { Gradients } from "./gradient_math.ts";
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
