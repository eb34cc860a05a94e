/** What a client evaluates beside training, found and checked before it joins. */
import type { EventSink } from "../events/event.ts";
import { evalDirectory } from "../trainer/eval/eval_directory.ts";
import { findTasks } from "../trainer/eval/eval_tasks.ts";
import { type LoadedTask, loadTask } from "../trainer/eval/load_task.ts";
import type { HubOptions } from "../trainer/hub/hub_download.ts";
import { IdleEvaluation } from "./idle_evaluation.ts";
import { PromptTask } from "./prompt_task.ts";

export interface EvaluationSettings {
  /** Names, as `findTasks` takes them. */
  tasks: readonly string[];
  /** Documents of each task, from the beginning. Default: all. */
  maxDocuments?: number;
  /** Chooses the solved examples. */
  seed: number;
  /** Directory with a directory of data for some of the tasks; the others come from the Hub. */
  dataDirectory?: string;
  /** Whether texts are written, too. */
  promptTask: boolean;
}

/**
 * @returns undefined when nothing is to be evaluated
 * @throws PsycheError `EVAL_TASK_UNKNOWN`, `DATA_UNAVAILABLE`, `DATA_COLUMN_INVALID`, and as
 *   `resolveDatasetDirectory`
 */
export async function openIdleEvaluation(
  { tasks, maxDocuments, seed, dataDirectory, promptTask }: EvaluationSettings,
  hub: HubOptions,
  emit: EventSink,
  signal: AbortSignal,
): Promise<IdleEvaluation | undefined> {
  const loaded: LoadedTask[] = [];
  for (const task of findTasks(tasks.join(","))) {
    const directory = await evalDirectory(task, dataDirectory, { ...hub, signal });
    loaded.push(await loadTask(task, { directory, maxDocuments, seed, signal }));
  }
  if (loaded.length === 0 && !promptTask) return undefined;
  emit({
    type: "evaluation_ready",
    tasks: loaded.map(({ task, questions }) => ({ task: task.name, documents: questions.length })),
    prompts: promptTask,
  });
  return new IdleEvaluation({
    tasks: loaded,
    prompt: promptTask ? new PromptTask() : undefined,
    emit,
  });
}
