/** One task from its data to its result: docs/protocol/training-math.md section 7. */
import type { EvalModel } from "./eval_model.ts";
import type { EvalTask, Metric } from "./eval_task.ts";
import { type LoadOptions, loadTask } from "./load_task.ts";
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

export interface EvalOptions extends LoadOptions {
  onProgress?: (done: number, total: number) => void;
}

/** @throws PsycheError as {@linkcode loadTask}; the signal's reason when aborted */
export async function evaluateTask(
  model: EvalModel,
  task: EvalTask,
  { onProgress, ...options }: EvalOptions,
): Promise<EvalResult> {
  const run = new TaskRun(await loadTask(task, options));
  for (let done = 1; done <= run.total; done++) {
    options.signal?.throwIfAborted();
    await run.next(model, options.signal);
    options.signal?.throwIfAborted();
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
