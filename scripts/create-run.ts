/** Creates a run. */
import { defineCommand } from "../lib/cli/command.ts";
import { defaulted, text } from "../lib/cli/flag.ts";
import { OPERATOR_FLAGS } from "../lib/cli/flag_sets.ts";
import { outcomeLines } from "../lib/cli/outcome_lines.ts";
import { runCommand } from "../lib/cli/run_command.ts";
import { parseAddress, withOperator } from "../lib/cli/with_operator.ts";
import { createRun } from "../lib/operator/create_run.ts";
import { formatSol } from "../lib/operator/lamports.ts";

export const command = defineCommand({
  name: "create-run",
  summary: "Creates the accounts of a run. It starts after update-config and set-paused --resume.",
  examples: [
    [
      "deno task create-run --run-id test --client-version test",
      "create a run that any client joins",
    ],
    ["deno task create-run --run-id test --rpc devnet --dry-run", "show what it would cost"],
  ],
  flags: {
    ...OPERATOR_FLAGS,
    clientVersion: defaulted(
      text({
        summary: "client version that the run asks for; test turns the check off",
        placeholder: "<version>",
        short: "c",
        environment: [],
      }),
      "test",
    ),
    joinAuthority: text({
      summary: "key that grants join authorizations (default: the wallet)",
      placeholder: "<address>",
      environment: [],
    }),
  },
  async run(command) {
    const { settings, output } = command;
    const joinAuthority = settings.joinAuthority === undefined
      ? undefined
      : parseAddress(settings.joinAuthority, "--join-authority");
    const run = await withOperator(command, (context) =>
      createRun(context, {
        runId: settings.runId,
        clientVersion: settings.clientVersion,
        joinAuthority,
      }));
    output.result(run, [
      `run "${run.runId}" ${run.outcome.dryRun ? "would be" : "is"} created`,
      `coordinator instance ${run.instance}`,
      // A dry run makes up an account that will never exist.
      ...(run.outcome.dryRun ? [] : [`coordinator account  ${run.coordinatorAccount}`]),
      `locked for storage ${formatSol(run.rentLamports)}`,
      ...outcomeLines(run.outcome),
      ...(run.recordPath === null ? [] : [`recorded in ${run.recordPath}`]),
    ]);
  },
});

if (import.meta.main) await runCommand(command);
