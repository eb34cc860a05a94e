/** Prints a run as JSON. */
import { defineCommand } from "../lib/cli/command.ts";
import { CLUSTER_FLAGS, PROGRAM_FLAGS, RUN_ID_FLAG, TREASURER_FLAG } from "../lib/cli/flag_sets.ts";
import { toJson } from "../lib/cli/json.ts";
import { runCommand } from "../lib/cli/run_command.ts";
import { withReader } from "../lib/cli/with_operator.ts";
import { describeRun } from "../lib/operator/describe_run.ts";
import { readRun } from "../lib/operator/read_run.ts";
import { findTreasury } from "../lib/operator/treasury.ts";

export const command = defineCommand({
  name: "json-info-dump",
  summary: "Prints everything the chain knows of a run as one JSON document. Needs no wallet.",
  examples: [
    ["deno task json-info-dump --run-id test", "the run on the local cluster"],
    [
      "deno task json-info-dump --run-id test --rpc devnet | jq .coordinator_account.status",
      "its state",
    ],
  ],
  flags: { ...RUN_ID_FLAG, ...TREASURER_FLAG, ...CLUSTER_FLAGS, ...PROGRAM_FLAGS },
  async run(command) {
    const { runId, treasurerIndex } = command.settings;
    const document = await withReader(command, async (context) => {
      const run = await readRun(context, runId, treasurerIndex);
      return describeRun(run, await findTreasury(context, run));
    });
    command.output.result(document, [toJson(document)]);
  },
});

if (import.meta.main) await runCommand(command);
