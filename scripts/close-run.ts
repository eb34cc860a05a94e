/** Closes a run. */
import { defineCommand } from "../lib/cli/command.ts";
import { OPERATOR_FLAGS } from "../lib/cli/flag_sets.ts";
import { outcomeLines } from "../lib/cli/outcome_lines.ts";
import { confirmOrThrow } from "../lib/cli/prompt.ts";
import { runCommand } from "../lib/cli/run_command.ts";
import { withOperator } from "../lib/cli/with_operator.ts";
import { closeRun } from "../lib/operator/close_run.ts";
import { formatSol } from "../lib/operator/lamports.ts";
import { runStateText } from "../lib/protocol/run_state.ts";

export const command = defineCommand({
  name: "close-run",
  summary: "Closes a halted run for good; the SOL locked in its accounts goes back to its owner.",
  examples: [
    ["deno task close-run --run-id test --dry-run", "show what comes back"],
    ["deno task close-run --run-id test", "close it, after a question"],
  ],
  flags: OPERATOR_FLAGS,
  async run(command) {
    const { settings, output, runtime, signal } = command;
    const { runId, treasurerIndex, yes } = settings;
    const result = await withOperator(command, (context) =>
      closeRun(context, {
        runId,
        treasurerIndex,
        confirm(run, lamports) {
          const { state } = run;
          const question = `Close the run "${runId}" ("${runStateText(state.runState)}", step ` +
            `${state.progress.step}) for good and get ${formatSol(lamports)} back?`;
          return confirmOrThrow(question, { yes, terminal: runtime.terminal, signal });
        },
      }));
    output.result(result, [
      `run "${runId}" ${settings.dryRun ? "would be" : "is"} closed`,
      `recovered ${formatSol(result.recoveredLamports)} (before the fee)`,
      ...outcomeLines(result.outcome),
    ]);
  },
});

if (import.meta.main) await runCommand(command);
