/** Refusing a model that this machine has no memory for, before the client waits for it or joins. */
import type { Model } from "../protocol/coordinator_state.ts";
import { estimateMemory, freeMemory, refuseTooLarge } from "../trainer/memory_estimate.ts";
import { parseLlamaConfig } from "../trainer/model/llama_config.ts";
import { countRanks } from "../trainer/runtime/device_list.ts";
import type { TrainerOptions } from "../trainer/trainer.ts";

export type MemoryOptions =
  & Pick<TrainerOptions, "microBatchSize" | "device" | "dataParallelism" | "longestText">
  & {
    /** Bytes that may be used. Default: what is free. */
    memoryLimit?: number;
  };

/**
 * Does what the trainer does first, without the weights. A run whose weights only its members have
 * still began with a model whose config.json can be read.
 *
 * @param config text of the model's config.json
 * @throws PsycheError `MODEL_TOO_LARGE`, with the numbers; `MODEL_CONFIG_INVALID`,
 *   `TRAINER_OPTION_INVALID`
 */
export function checkMemory(
  config: string,
  { maxSeqLen, optimizer }: Pick<Model, "maxSeqLen" | "optimizer">,
  { memoryLimit = freeMemory(), device, dataParallelism, ...options }: MemoryOptions,
): void {
  const ranks = countRanks([device ?? "auto"].flat(), dataParallelism);
  const shape = { ...options, sequenceLength: maxSeqLen, optimizer, ranks };
  refuseTooLarge(estimateMemory(parseLlamaConfig(config), shape), memoryLimit);
}
