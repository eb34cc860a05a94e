import type { CoordinatorState } from "../protocol/coordinator_state.ts";
import { coldStartFactor, learningRate } from "../protocol/learning_rate.ts";

/** First and last step of the learning-rate warm-up after a pause, or null outside of one. */
export function coldStartBounds(state: CoordinatorState): { start: number; end: number } | null {
  const { coldStartEpoch, startStep } = state.epochState;
  const steps = state.model.coldStartWarmupSteps;
  return coldStartEpoch && steps > 0 ? { start: startStep, end: startStep + steps } : null;
}

/** The run's learning rate at a step, cold start included; training-math.md sections 1.2 and 1.3. */
export function roundLearningRate(state: CoordinatorState, step: number): number {
  const bounds = coldStartBounds(state);
  const rate = learningRate(state.model.lrSchedule, step);
  return bounds === null ? rate : rate * coldStartFactor(step, bounds);
}
