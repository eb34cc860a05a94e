import type { CoordinatorConfig } from "./coordinator_state.ts";
import { addU64, multiplyU64 } from "./panic.ts";

type BatchRamp = Pick<
  CoordinatorConfig,
  "globalBatchSizeStart" | "globalBatchSizeEnd" | "globalBatchSizeWarmupTokens"
>;

/**
 * Sequences of a round that begins after `tokens` tokens: a straight ramp from start to end size,
 * in doubles, rounded half away from zero; docs/protocol/deterministic-selection.md section 7.
 */
export function batchSize(config: BatchRamp, tokens: bigint): number {
  const { globalBatchSizeStart: start, globalBatchSizeEnd: end } = config;
  if (tokens >= config.globalBatchSizeWarmupTokens) return end;
  const progress = Number(tokens) / Number(config.globalBatchSizeWarmupTokens);
  const size = start + (end - start) * progress;
  const whole = Math.floor(size);
  return size - whole >= 0.5 ? whole + 1 : whole;
}

/** Batch size of a round that starts at sequence `dataIndex`. */
export function batchSizeAt(config: BatchRamp, dataIndex: bigint, maxSeqLen: number): number {
  return batchSize(config, multiplyU64(dataIndex, BigInt(maxSeqLen)));
}

/**
 * Sequence index at which a run that restarts from `step` continues; 0 for steps up to 1 and above
 * `config.totalSteps`. Section 7.
 */
export function dataIndexForStep(
  config: BatchRamp & Pick<CoordinatorConfig, "totalSteps">,
  maxSeqLen: number,
  step: number,
): bigint {
  if (step <= 1 || step > config.totalSteps) return 0n;
  let dataIndex = 0n;
  for (let i = 1; i < step; i++) {
    dataIndex = addU64(dataIndex, BigInt(batchSizeAt(config, dataIndex, maxSeqLen)));
  }
  return dataIndex;
}
