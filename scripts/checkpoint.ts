/** Records where a run's weights are. */
import { defineCommand } from "../lib/cli/command.ts";
import { text } from "../lib/cli/flag.ts";
import { OPERATOR_FLAGS, WALLET_FLAGS } from "../lib/cli/flag_sets.ts";
import { outcomeLines } from "../lib/cli/outcome_lines.ts";
import { runCommand } from "../lib/cli/run_command.ts";
import { withOperator } from "../lib/cli/with_operator.ts";
import { recordCheckpoint } from "../lib/operator/record_checkpoint.ts";
import type { SubmittedCheckpoint } from "../lib/protocol/merge_checkpoint.ts";
import { checkpointPlace } from "../lib/trainer/resolve_checkpoint.ts";

export const command = defineCommand({
  name: "checkpoint",
  summary:
    "Records a Hub repository or a bucket as the run's checkpoint; for clients of the current epoch.",
  examples: [
    [
      "deno task checkpoint -r test -w client.json --repo owner/name --revision main",
      "a repository of the Hub",
    ],
    [
      "deno task checkpoint -r test -w client.json --gcs-bucket runs --gcs-prefix tiny",
      "a bucket of Google Cloud Storage",
    ],
  ],
  flags: {
    ...OPERATOR_FLAGS,
    walletPrivateKeyPath: { ...WALLET_FLAGS.walletPrivateKeyPath, fromRunRecord: undefined },
    repo: text({ summary: "Hub repository", placeholder: "<owner/name>" }),
    revision: text({ summary: "commit, branch or tag", placeholder: "<text>" }),
    gcsBucket: text({ summary: "bucket of Google Cloud Storage", placeholder: "<name>" }),
    gcsPrefix: text({ summary: "folder in the bucket", placeholder: "<path>" }),
  },
  check: ({ repo, revision, gcsBucket, gcsPrefix }) => [
    ...((repo === undefined) === (gcsBucket === undefined)
      ? ["give either --repo or --gcs-bucket"]
      : []),
    ...(repo === undefined && revision !== undefined ? ["--revision needs --repo"] : []),
    ...(gcsBucket === undefined && gcsPrefix !== undefined
      ? ["--gcs-prefix needs --gcs-bucket"]
      : []),
  ],
  async run(command) {
    const { settings, output } = command;
    const { runId, repo, revision = null, gcsBucket = "", gcsPrefix: prefix = null } = settings;
    const checkpoint: SubmittedCheckpoint = repo === undefined
      ? { kind: "Gcs", repo: { bucket: gcsBucket, prefix } }
      : { kind: "Hub", repo: { repoId: repo, revision } };
    const result = await withOperator(
      command,
      (context) => recordCheckpoint(context, { runId, checkpoint }),
    );
    output.result(result, [
      `run "${runId}": checkpoint ${checkpointPlace(checkpoint)}`,
      ...outcomeLines(result.outcome),
    ]);
  },
});

if (import.meta.main) await runCommand(command);
