/** Lists the runs of a cluster. */
import { defineCommand } from "../lib/cli/command.ts";
import { counted } from "../lib/cli/counted.ts";
import { text, toggle } from "../lib/cli/flag.ts";
import { CLUSTER_FLAGS, PROGRAM_FLAGS } from "../lib/cli/flag_sets.ts";
import { runCommand } from "../lib/cli/run_command.ts";
import { tableLines } from "../lib/cli/table.ts";
import { parseAddress, withReader } from "../lib/cli/with_operator.ts";
import { listRuns } from "../lib/operator/list_runs.ts";

export const command = defineCommand({
  name: "list-runs",
  summary: "Lists the runs of the coordinator program, those that wait for members first.",
  examples: [
    ["deno task list-runs --rpc devnet", "all runs on devnet"],
    ["deno task list-runs --active --authorizer <KEY>", "moving runs of one join authority"],
  ],
  flags: {
    ...CLUSTER_FLAGS,
    ...PROGRAM_FLAGS,
    authorizer: text({
      summary: "only runs with this join authority",
      placeholder: "<address>",
      environment: [],
    }),
    active: toggle({ summary: "leave out halted runs", environment: [] }),
  },
  async run(command) {
    const { settings, output } = command;
    const joinAuthority = settings.authorizer === undefined
      ? undefined
      : parseAddress(settings.authorizer, "--authorizer");
    const { program, ...found } = await withReader(command, async (context) => ({
      program: context.programIds.coordinator.toBase58(),
      ...await listRuns(context, { joinAuthority, active: settings.active }),
    }));
    if (found.unreadable > 0) {
      output.warn(`${counted(found.unreadable, "account")} could not be read`);
    }
    const rows = found.runs.map((run) => [
      run.runId,
      run.state,
      run.clients,
      run.epochTime,
      run.timeLeft,
      `${run.step}/${run.totalSteps}`,
      run.clientVersion,
    ]);
    const header = ["run-id", "state", "clients", "epoch time", "time left", "step", "version"];
    output.result(
      { program, ...found },
      rows.length === 0 ? [`no runs of the coordinator ${program}`] : [
        `${rows.length} ${rows.length === 1 ? "run" : "runs"} of the coordinator ${program}`,
        ...tableLines(header, rows),
      ],
    );
  },
});

if (import.meta.main) await runCommand(command);
