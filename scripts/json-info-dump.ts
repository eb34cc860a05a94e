/** Prints a run as JSON. */
import { defineCommand } from "../lib/cli/command.ts";
import { integer } from "../lib/cli/flag.ts";
import { CLUSTER_FLAGS, PROGRAM_FLAGS, RUN_ID_FLAG, TREASURER_FLAG } from "../lib/cli/flag_sets.ts";
import { toJson } from "../lib/cli/json.ts";
import { runCommand } from "../lib/cli/run_command.ts";
import { withReader } from "../lib/cli/with_operator.ts";
import { describeRun } from "../lib/operator/describe_run.ts";
import { describeWitnessReports } from "../lib/operator/describe_witness_reports.ts";
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
    [
      "deno task json-info-dump --run-id test --witness-reports 100 | jq .witness_reports[0]",
      "speed, loss and evaluations, as a client of the run reported them last",
    ],
  ],
  flags: {
    ...RUN_ID_FLAG,
    ...TREASURER_FLAG,
    ...CLUSTER_FLAGS,
    ...PROGRAM_FLAGS,
    witnessReports: integer({
      summary: "also what witnesses reported in so many of the run's latest transactions",
      min: 1,
      max: 1000,
      environment: [],
    }),
  },
  async run(command) {
    const { runId, treasurerIndex, witnessReports } = command.settings;
    const document = await withReader(command, async (context) => {
      const run = await readRun(context, runId, treasurerIndex);
      const described = describeRun(run, await findTreasury(context, run));
      if (witnessReports === undefined) return described;
      const reports = await describeWitnessReports(context, run, witnessReports);
      return { ...described, witness_reports: reports };
    });
    command.output.result(document, [toJson(document)]);
  },
});

if (import.meta.main) await runCommand(command);
