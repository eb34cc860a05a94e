/** Refusing a model that this machine has no memory for. */
import { estimateMemory, freeMemory, refuseTooLarge } from "./memory_estimate.ts";
import type { LlamaConfig } from "./model/llama_config.ts";
import { countRanks } from "./runtime/device_list.ts";
import type { TrainerOptions } from "./trainer.ts";

/** What of a trainer's options its memory depends on. */
export type MemoryOptions = Pick<
  TrainerOptions,
  | "sequenceLength"
  | "microBatchSize"
  | "optimizer"
  | "device"
  | "dataParallelism"
  | "longestText"
  | "memoryLimit"
>;

/**
 * Needs no weights, so a client can ask before it has them. The trainer asks again.
 *
 * @throws PsycheError `MODEL_TOO_LARGE`, with the numbers; `TRAINER_OPTION_INVALID`
 */
export function checkMemory(
  config: LlamaConfig,
  { memoryLimit = freeMemory(), device, dataParallelism, ...shape }: MemoryOptions,
): void {
  const ranks = countRanks([device ?? "auto"].flat(), dataParallelism);
  refuseTooLarge(estimateMemory(config, { ...shape, ranks }), memoryLimit);
}
