/** Pauses or resumes a run. */
import { defineCommand } from "../lib/cli/command.ts";
import { toggle } from "../lib/cli/flag.ts";
import { OPERATOR_FLAGS } from "../lib/cli/flag_sets.ts";
import { outcomeLines } from "../lib/cli/outcome_lines.ts";
import { runCommand } from "../lib/cli/run_command.ts";
import { withOperator } from "../lib/cli/with_operator.ts";
import { setPaused } from "../lib/operator/set_paused.ts";

export const command = defineCommand({
  name: "set-paused",
  summary: "Pauses a run, or resumes it with --resume.",
  examples: [
    ["deno task set-paused --run-id test --resume", "start or continue the run"],
    ["deno task set-paused --run-id test", "pause at the end of the current round"],
  ],
  flags: { ...OPERATOR_FLAGS, resume: toggle({ summary: "resume instead of pausing" }) },
  async run(command) {
    const { settings, output } = command;
    const result = await withOperator(
      command,
      (context) => setPaused(context, { ...settings, paused: !settings.resume }),
    );
    const { runId, before, after, pending, outcome } = result;
    const wish = settings.resume ? "resumed" : "paused";
    output.result(result, [
      outcome === null
        ? `run "${runId}" is ${wish} already: "${after}"`
        : outcome.dryRun
        ? `run "${runId}" would be ${wish}; it is now "${before}"`
        : `run "${runId}": "${before}" -> "${after}"`,
      ...(pending ? ["the pause takes effect when the epoch's current round ends"] : []),
      ...(outcome === null ? [] : outcomeLines(outcome)),
    ]);
  },
});

if (import.meta.main) await runCommand(command);
