/** Downloads what a client of a run needs; docs/protocol/commands.md section 10.3. */
import { defineCommand } from "../lib/cli/command.ts";
import { defaulted, integer, text, toggle } from "../lib/cli/flag.ts";
import { CLUSTER_FLAGS, PROGRAM_FLAGS, RUN_ID_FLAG } from "../lib/cli/flag_sets.ts";
import { checkpointSources } from "../lib/cli/model_directory.ts";
import { runCommand } from "../lib/cli/run_command.ts";
import { withReader } from "../lib/cli/with_operator.ts";
import { predownloadData, predownloadModel } from "../lib/operator/predownload.ts";
import { readRun } from "../lib/operator/read_run.ts";
import { evalDirectory } from "../lib/trainer/eval/eval_directory.ts";
import { findTasks } from "../lib/trainer/eval/eval_tasks.ts";

export const command = defineCommand({
  name: "predownload",
  summary: "Downloads model, data and evaluation data of a run into the caches on the disk.",
  examples: [
    ["deno task predownload --run-id test", "the model, and data that are a data set of the Hub"],
    ["deno task predownload --run-id test --rpc devnet --eval-tasks arc_easy,piqa", "and tasks"],
  ],
  flags: {
    ...RUN_ID_FLAG,
    ...CLUSTER_FLAGS,
    ...PROGRAM_FLAGS,
    model: toggle({ summary: "the model alone, not the data", environment: [] }),
    evalTasks: text({ summary: "evaluation tasks, comma separated", placeholder: "<names>" }),
    hubMaxConcurrentDownloads: defaulted(
      integer({ summary: "files fetched at the same time", min: 1, max: 64 }),
      "3",
    ),
  },
  async run(command) {
    const { settings, output } = command;
    const tasks = findTasks(settings.evalTasks ?? "");
    const { state } = await withReader(command, (context) => readRun(context, settings.runId));
    const concurrency = settings.hubMaxConcurrentDownloads;
    const { hub: anyHub, gcs } = checkpointSources(command);
    const hub = { ...anyHub, concurrency };
    const model = await predownloadModel(state, { hub, gcs: { ...gcs, concurrency } });
    const data = settings.model ? null : await predownloadData(state, hub);
    const evaluation: Record<string, string> = {};
    for (const task of tasks) evaluation[task.name] = await evalDirectory(task, undefined, hub);
    output.result({ run_id: settings.runId, model, data, evaluation }, [
      `model: ${model}`,
      ...(data === null ? [] : [`data: ${data}`]),
      ...Object.entries(evaluation).map(([task, directory]) => `${task}: ${directory}`),
    ]);
  },
});

if (import.meta.main) await runCommand(command);
