/** Records where a run's weights are. */
import { defineCommand } from "../lib/cli/command.ts";
import { required, text } from "../lib/cli/flag.ts";
import { OPERATOR_FLAGS, WALLET_FLAGS } from "../lib/cli/flag_sets.ts";
import { outcomeLines } from "../lib/cli/outcome_lines.ts";
import { runCommand } from "../lib/cli/run_command.ts";
import { withOperator } from "../lib/cli/with_operator.ts";
import { recordCheckpoint } from "../lib/operator/record_checkpoint.ts";

export const command = defineCommand({
  name: "checkpoint",
  summary: "Records a Hub repository as the run's checkpoint; for clients of the current epoch.",
  examples: [
    [
      "deno task checkpoint -r test -w client.json --repo owner/name --revision main",
      "record it",
    ],
  ],
  flags: {
    ...OPERATOR_FLAGS,
    walletPrivateKeyPath: { ...WALLET_FLAGS.walletPrivateKeyPath, fromRunRecord: undefined },
    repo: required(text({ summary: "Hub repository", placeholder: "<owner/name>" })),
    revision: text({ summary: "commit, branch or tag", placeholder: "<text>" }),
  },
  async run(command) {
    const { settings, output } = command;
    const { runId, repo, revision = null } = settings;
    const result = await withOperator(
      command,
      (context) => recordCheckpoint(context, { runId, repo, revision }),
    );
    output.result(result, [
      `run "${runId}": checkpoint ${repo}${revision === null ? "" : ` at ${revision}`}`,
      ...outcomeLines(result.outcome),
    ]);
  },
});

if (import.meta.main) await runCommand(command);
