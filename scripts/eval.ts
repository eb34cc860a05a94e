/** Measures a model by evaluation tasks. */
import { availableParallelism } from "node:os";
import { defineCommand } from "../lib/cli/command.ts";
import { defaulted, integer, required, text } from "../lib/cli/flag.ts";
import { HUB_FLAGS, hubOptions, modelDirectory } from "../lib/cli/model_directory.ts";
import { createProgress } from "../lib/cli/progress.ts";
import { runCommand } from "../lib/cli/run_command.ts";
import { evalDirectory } from "../lib/trainer/eval/eval_directory.ts";
import { findTasks, TASK_NAMES } from "../lib/trainer/eval/eval_tasks.ts";
import { evalModelOf } from "../lib/trainer/eval/eval_model.ts";
import { type EvalResult, evaluateTask } from "../lib/trainer/eval/evaluate_task.ts";
import { type LoadedTask, loadTask } from "../lib/trainer/eval/load_task.ts";
import { LanguageModel } from "../lib/trainer/inference/language_model.ts";

const percent = (share: number) => `${(100 * share).toFixed(1)} %`;

function line({ task, documents, metrics, metric, standardError }: EvalResult): string {
  const others = Object.entries(metrics).filter(([name]) => name !== metric)
    .map(([name, value]) => `, ${name} ${percent(value)}`);
  return `${task}: ${metric} ${percent(metrics[metric]!)} ± ${percent(standardError)}${
    others.join("")
  } (${documents} documents)`;
}

export const command = defineCommand({
  name: "eval",
  summary: `Measures a model by tasks: ${TASK_NAMES.join(", ")}.`,
  examples: [
    [
      "deno task eval --model checkpoints/test-step99 --tasks arc_easy,piqa --max-docs 100",
      "data from the Hub, or from its cache",
    ],
    [
      "deno task eval --model models/20m --tasks mmlu --data eval-data",
      "data in eval-data/mmlu, parquet or <split>.jsonl",
    ],
  ],
  flags: {
    ...HUB_FLAGS,
    tasks: required(
      text({
        summary: "comma-separated list",
        placeholder: "<names>",
        environment: ["EVAL_TASKS"],
      }),
    ),
    data: text({
      summary: "directory with a directory of data for each task",
      placeholder: "<dir>",
      environment: [],
    }),
    maxDocs: integer({
      summary: "documents of each task, from the beginning (all)",
      min: 1,
      environment: ["EVAL_TASK_MAX_DOCS"],
    }),
    shots: integer({
      summary: "solved examples before each question (5 for mmlu_pro, else none)",
      max: 100,
      environment: [],
    }),
    seed: defaulted(
      integer({ summary: "seed that chooses the examples", environment: ["EVAL_SEED"] }),
      "42",
    ),
    threads: integer({ summary: "threads of the runtime (all cores)", min: 1, max: 1024 }),
  },
  async run(command) {
    const { settings, output, signal } = command;
    const tasks = findTasks(settings.tasks);
    const hub = hubOptions(command);
    const threads = settings.threads ?? availableParallelism();
    const directory = await modelDirectory(command);
    // Of all of them, before hours go into the first.
    const { maxDocs: maxDocuments, shots, seed } = settings;
    const loaded: LoadedTask[] = [];
    for (const task of tasks) {
      const data = await evalDirectory(task, settings.data, hub);
      loaded.push(await loadTask(task, { directory: data, maxDocuments, shots, seed, signal }));
    }
    const model = await LanguageModel.open(directory, { threads });
    const progress = createProgress(output);
    const results: EvalResult[] = [];
    for (const task of loaded) {
      const result = await evaluateTask(evalModelOf(model), task, {
        onProgress: (done, total) => progress.update(task.task.name, done, total),
        signal,
      });
      results.push(result);
      output.stream(line(result));
    }
    await model.close();
    output.result({ model: directory, results }, []);
  },
});

if (import.meta.main) await runCommand(command);
