/** What a trainer does with the gradients of a batch, and how results change the weights. */
import type { Gradients } from "./gradient_math.ts";
import type { Parameter } from "./model/model_directory.ts";
import type { DistroResult } from "./trainer.ts";

/** A parameter with what an optimizer keeps of it: two fp32 arrays as long as its data, zeros at first. */
export interface TrainedParameter extends Parameter {
  state: readonly [Float32Array<ArrayBuffer>, Float32Array<ArrayBuffer>];
}

/** One batch goes through `lookAhead`, the gradients, `step`, in this order. */
export interface Optimizer {
  /** Forgets everything learned from earlier batches. */
  reset(): void;
  /** Weights at which the gradients are to be taken; valid until the next call. */
  lookAhead(previousLr: number): readonly Parameter[];
  /** Uses gradients, each times `clip`; returns what is to be sent to the others. */
  step(batch: { gradients: Gradients; clip: number; lr: number; round: number }): DistroResult;
  /**
   * Changes the weights by one round's results; all or nothing.
   *
   * @param previousLr with which `lookAhead` will be called next, if known: then it costs less
   */
  apply(results: readonly DistroResult[], lr: number, previousLr?: number): void;
}
