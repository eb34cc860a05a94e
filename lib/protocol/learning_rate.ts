/** Learning rates in doubles, docs/protocol/training-math.md section 1. */
import { PsycheError } from "../error.ts";
import type { CoordinatorState, LearningRateSchedule } from "./coordinator_state.ts";

/**
 * Learning rate of a step (integer, >= 0).
 *
 * @throws PsycheError `LEARNING_RATE_INVALID` for a schedule that has no value there: a `Cosine` whose
 * total_steps equals its warmup_steps, or a `WarmupStableDecay` whose rates rise.
 */
export function learningRate(schedule: LearningRateSchedule, step: number): number {
  const { baseLr: base, warmupInitLr: initial, warmupSteps: warmup } = schedule;
  if (step < warmup) return initial + (base - initial) * step / warmup;
  switch (schedule.kind) {
    case "Constant":
      return base;
    case "Linear": {
      const { finalLr, totalSteps } = schedule;
      if (step >= totalSteps) return finalLr;
      return base + (finalLr - base) * (step - warmup) / (totalSteps - warmup);
    }
    case "Cosine": {
      const { finalLr, totalSteps } = schedule;
      if (totalSteps === warmup) {
        throw invalid(`total_steps and warmup_steps of a Cosine schedule are both ${warmup}`);
      }
      // Not clamped: after total_steps the rate rises again.
      return cosine(base, finalLr, (step - warmup) / (totalSteps - warmup));
    }
    case "WarmupStableDecay":
      return warmupStableDecay(schedule, step);
  }
}

function warmupStableDecay(
  schedule: Extract<LearningRateSchedule, { kind: "WarmupStableDecay" }>,
  step: number,
): number {
  const { baseLr: base, cosineDecayFinalLr: middle, linearDecayFinalLr: final } = schedule;
  if (middle > base || final > middle) {
    throw invalid(`a WarmupStableDecay schedule rises (${base}, ${middle}, ${final})`);
  }
  let at = step - schedule.warmupSteps;
  if (at < schedule.stableSteps) return base;
  at -= schedule.stableSteps;
  if (at < schedule.cosineDecaySteps) return cosine(base, middle, at / schedule.cosineDecaySteps);
  at -= schedule.cosineDecaySteps;
  if (at < schedule.linearDecaySteps) {
    return middle + (final - middle) * at / schedule.linearDecaySteps;
  }
  return final;
}

function cosine(from: number, to: number, progress: number): number {
  return to + (from - to) * 0.5 * (1 + Math.cos(Math.PI * progress));
}

function invalid(what: string): PsycheError {
  return new PsycheError(
    "LEARNING_RATE_INVALID",
    `The learning rate is undefined: ${what}; correct lr_schedule of the run.`,
  );
}

/** First and last step of the warmup after a pause, both inclusive. */
export interface ColdStartBounds {
  start: number;
  end: number;
}

/** Bounds of the present epoch's cold start, or null; section 1.3. */
export function coldStartBounds(state: CoordinatorState): ColdStartBounds | null {
  const { coldStartEpoch, startStep } = state.epochState;
  const steps = state.model.coldStartWarmupSteps;
  return coldStartEpoch && steps > 0 ? { start: startStep, end: startStep + steps } : null;
}

/** Factor on the learning rate of a step: rises from 0 to 1 within the bounds, 1 elsewhere. */
export function coldStartFactor(bounds: ColdStartBounds | null, step: number): number {
  if (bounds === null || step < bounds.start || step > bounds.end) return 1;
  return (step - bounds.start) / (bounds.end - bounds.start);
}

/** Rates with which a client trains (`lr`, `previousLr`) and applies (`lr`) in a step; section 1.2. */
export function trainingRates(
  state: CoordinatorState,
  step: number,
): { lr: number; previousLr: number } {
  const { lrSchedule } = state.model;
  const factor = coldStartFactor(coldStartBounds(state), step);
  return {
    lr: learningRate(lrSchedule, step) * factor,
    previousLr: learningRate(lrSchedule, Math.max(0, step - 1)) * factor,
  };
}
