/** Messages between the trainer's proxy and its worker. */
import { PsycheError } from "../error.ts";
import type { EngineOptions, ModelSummary, TrainingEngine } from "./training_engine.ts";
import type { TrainRequest, TrainResponse } from "./trainer.ts";

/** What the worker can be asked for. Calls are carried out one after the other. */
export interface WorkerMethods extends
  Pick<
    TrainingEngine,
    "apply" | "evaluate" | "generate" | "weightsSha256" | "parameter" | "saveCheckpoint" | "release"
  > {
  /** The first call. */
  open(options: EngineOptions): Promise<ModelSummary>;
  /** `abort[0]`, in shared memory, turns 1 when the batch is to be given up. */
  train(request: TrainRequest, abort: Int32Array<SharedArrayBuffer>): Promise<TrainResponse>;
}

export type MethodName = keyof WorkerMethods;

export interface Call<Name extends MethodName = MethodName> {
  id: number;
  method: Name;
  arguments: Parameters<WorkerMethods[Name]>;
}

/** An error as it crosses: structured cloning would lose the class and the code. */
export interface PortableError {
  code: string;
  message: string;
  exitCode: number;
}

export type Reply = { id: number; value: unknown } | { id: number; error: PortableError };

export function toPortable(error: unknown): PortableError {
  if (error instanceof PsycheError) {
    return { code: error.code, message: error.message, exitCode: error.exitCode };
  }
  const text = error instanceof Error ? error.message : String(error);
  return {
    code: "TRAINER_FAILED",
    message: `The trainer failed (${text}); close it and load the last checkpoint.`,
    exitCode: 1,
  };
}

export function fromPortable({ code, message, exitCode }: PortableError): PsycheError {
  return new PsycheError(code, message, { exitCode });
}
