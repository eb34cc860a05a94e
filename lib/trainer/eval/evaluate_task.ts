/** One task to its result: docs/protocol/training-math.md section 7. */
import type { EvalModel } from "./eval_model.ts";
import type { Metric } from "./eval_task.ts";
import type { LoadedTask } from "./load_task.ts";
import { TaskRun } from "./task_run.ts";

export interface EvalResult {
  task: string;
  documents: number;
  /** Share of right answers by metric. */
  metrics: Partial<Record<Metric, number>>;
  /** The metric that counts, its value and the standard error of it. */
  metric: Metric;
  value: number;
  standardError: number;
}

export interface EvalOptions {
  onProgress?: (done: number, total: number) => void;
  signal?: AbortSignal;
}

/** @throws the signal's reason when aborted */
export async function evaluateTask(
  model: EvalModel,
  loaded: LoadedTask,
  { onProgress, signal }: EvalOptions = {},
): Promise<EvalResult> {
  const { task } = loaded;
  const run = new TaskRun(loaded);
  for (let done = 1; done <= run.total; done++) {
    signal?.throwIfAborted();
    await run.next(model, signal);
    signal?.throwIfAborted();
    onProgress?.(done, run.total);
  }
  const { metrics, documents } = run;
  const value = metrics[task.metric]!;
  return {
    task: task.name,
    documents,
    metrics,
    metric: task.metric,
    value,
    standardError: Math.sqrt(value * (1 - value) / Math.max(1, documents - 1)),
  };
}
