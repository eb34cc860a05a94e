import { learningRate } from "../protocol/learning_rate.ts";
import type { LearningRateSchedule, Optimizer } from "../protocol/coordinator_state.ts";
import { createTrainer } from "../trainer/create_trainer.ts";
import type { DataProvider } from "../trainer/data/data_provider.ts";
import type { DistroResult } from "../trainer/trainer.ts";

/** How a model learned. */
export interface LearningCurve {
  name: string;
  optimizer: string;
  /** Training loss of each step, nats per token. */
  steps: { step: number; loss: number }[];
  /** Loss on text that is never trained on; step 0 is the initial model. */
  heldOut: { step: number; loss: number }[];
  /** From the first step to the last. */
  seconds: number;
  /** That one client has to send for a step. */
  bytesPerStep: number;
}

export interface TrainAloneOptions {
  name: string;
  modelDirectory: string;
  data: DataProvider;
  /** Sequences of a step. */
  batch: number;
  steps: number;
  optimizer: Optimizer;
  schedule: LearningRateSchedule;
  /** Row-major [sequences, sequence length]. */
  heldOut: Int32Array;
  /** Steps between two looks at the held-out text. */
  heldOutEvery: number;
  threads: number;
  signal?: AbortSignal;
  onStep?: (step: number, loss: number) => void;
}

/**
 * Trains in this process, without chain or peers, the sequences that a run would assign step by step.
 * DisTrO keeps the order of a run: results take effect two steps later, gradients are taken where the
 * own residual points (docs/protocol/training-math.md sections 1.2, 3.2 and 3.3).
 *
 * @throws the signal's reason when aborted, and what the trainer throws
 */
export async function trainAlone(options: TrainAloneOptions): Promise<LearningCurve> {
  const { data, batch, steps, schedule, heldOut, signal } = options;
  const trainer = await createTrainer({
    model: { directory: options.modelDirectory },
    sequenceLength: data.sequenceLength,
    microBatchSize: 8,
    optimizer: options.optimizer,
    threads: options.threads,
    signal,
  });
  try {
    const curve: LearningCurve = {
      name: options.name,
      optimizer: options.optimizer.kind,
      steps: [],
      heldOut: [],
      seconds: 0,
      bytesPerStep: 0,
    };
    const look = async (step: number) => {
      const loss = await trainer.evaluate(heldOut, heldOut.length / data.sequenceLength);
      curve.heldOut.push({ step, loss });
    };
    await look(0);
    const waiting: DistroResult[] = [];
    for (let step = 1; step <= steps; step++) {
      const first = BigInt((step - 1) * batch);
      const samples = await data.read({ start: first, end: first + BigInt(batch - 1) }, signal);
      const start = performance.now();
      const lr = learningRate(schedule, step);
      const previousLr = learningRate(schedule, step - 1);
      if (waiting.length === 2) {
        await trainer.apply({ step, lr, previousLr, results: [waiting.shift()!] });
      }
      const { loss, result } = await trainer.train({
        step,
        round: step,
        ...samples,
        batch,
        lr,
        previousLr,
        resetOptimizer: false,
      }, signal);
      if (options.optimizer.kind === "Distro") waiting.push(result);
      curve.seconds += (performance.now() - start) / 1000;
      curve.steps.push({ step, loss });
      options.onStep?.(step, loss);
      if (step % options.heldOutEvery === 0 || step === steps) await look(step);
    }
    return curve;
  } catch (error) {
    // What became of the batch is no news.
    signal?.throwIfAborted();
    throw error;
  } finally {
    await trainer.close();
  }
}
