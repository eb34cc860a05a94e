/** How far a data set reaches; docs/protocol/deterministic-selection.md section 7. */
import { batchSizeAt } from "./batch_size.ts";
import { type CoordinatorState, RunState } from "./coordinator_state.ts";
import { currentRound } from "./run_state.ts";

/** Steps counted one by one while the batch size grows; beyond, its end value is assumed. */
const MAX_COUNTED = 1_000_000;

export interface DataSpan {
  /** Sequences there are; null when they have no end. */
  sequences: number | null;
  /** Steps from the present one on that they last, at most `stepsLeft`. */
  steps: number;
  /** Steps from the present one on that the run is going to make. */
  stepsLeft: number;
  /** Why the run cannot be trained to its end with these data, and what to do; null when it can. */
  shortage: string | null;
}

/**
 * Compares a data set with what is left of a run.
 *
 * @param sequences `Infinity` for data without end
 */
export function dataSpan(state: CoordinatorState, sequences: number): DataSpan {
  const { config, progress } = state;
  const stepsLeft = Math.max(0, config.totalSteps - progress.step);
  const steps = Math.min(stepsLeft, stepsWithin(state, sequences));
  const shortage = steps === stepsLeft
    ? null
    : `The data has ${sequences} sequences, which last for ${steps} of the ${stepsLeft} steps that ` +
      `run "${state.runId}" has left; give it more data, or lower total_steps to what there is.`;
  return { sequences: Number.isFinite(sequences) ? sequences : null, steps, stepsLeft, shortage };
}

/** Whole steps from the present one on until the data ends. */
function stepsWithin(state: CoordinatorState, sequences: number): number {
  const { runState, config, model, progress } = state;
  const inRounds = runState === RunState.RoundTrain || runState === RunState.RoundWitness;
  const start = inRounds ? currentRound(state).dataIndex : progress.epochStartDataIndex;
  const end = config.globalBatchSizeEnd;
  let at = Number(start);
  for (let steps = 0;; steps++) {
    const size = batchSizeAt(config, BigInt(at), model.maxSeqLen);
    if (size === end || steps === MAX_COUNTED) {
      return steps + Math.max(0, Math.floor((sequences - at) / end));
    }
    if (at + size > sequences) return steps;
    at += size;
  }
}
