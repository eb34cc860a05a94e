import type { AbortFlag } from "./abort_flag.ts";
import type { EngineOptions, ModelSummary, TrainingEngine } from "./training_engine.ts";
import type { TrainRequest, TrainResponse } from "./trainer.ts";

/** What the trainer's worker can be asked for. Calls are carried out one after the other. */
export interface TrainerMethods extends
  Pick<
    TrainingEngine,
    | "apply"
    | "evaluate"
    | "score"
    | "generate"
    | "weightsSha256"
    | "weightsFingerprint"
    | "parameter"
    | "saveCheckpoint"
    | "release"
  > {
  /** The first call. */
  open(options: EngineOptions): Promise<ModelSummary>;
  train(request: TrainRequest, abort: AbortFlag): Promise<TrainResponse>;
}
