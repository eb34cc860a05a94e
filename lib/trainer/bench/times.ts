/** Times of repeated measurements, and what another library took for the same step. */
import type { Measurement } from "./contestant.ts";

/** Milliseconds of one action over all repetitions. */
export interface Times {
  min: number;
  median: number;
}

/** What another library took for a step of ours. */
export interface Rival {
  step: Times;
  peakBytes: number;
  /** Its time over ours, above 1 when this toolkit is faster. */
  ratio: Times;
  /** Difference of the losses of the first step, which both compute from the same weights. */
  lossDifference: number;
}

export function times(values: number[]): Times {
  const sorted = values.toSorted((a, b) => a - b);
  return { min: sorted[0], median: sorted[sorted.length >> 1] };
}

/**
 * One time over another measured in the same turns, in which the machine was about as fast: of the best, and
 * the median of all turns.
 */
export function ratio(over: readonly number[], under: readonly number[]): Times {
  return {
    min: Math.min(...over) / Math.min(...under),
    median: times(over.map((value, turn) => value / under[turn])).median,
  };
}

/** Steps of a rival beside our own of the same turns; the first `warmUp` count for the loss only. */
export function compareSteps(theirs: Measurement[], ours: Measurement[], warmUp: number): Rival {
  const [their, own] = [theirs, ours].map((steps) =>
    steps.slice(warmUp, theirs.length).map((one) => one.milliseconds)
  );
  return {
    step: times(their),
    peakBytes: theirs.at(-1)!.peakBytes,
    ratio: ratio(their, own),
    lossDifference: Math.abs(theirs[0].loss! - ours[0].loss!),
  };
}
