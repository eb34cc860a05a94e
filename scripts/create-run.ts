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
    ["deno task create-run -r test --treasurer-collateral-mint <MINT>", "a run with rewards"],
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
    treasurerCollateralMint: text({
      summary: "makes a run with rewards, paid in this SPL token",
      placeholder: "<mint>",
    }),
    joinAuthority: text({
      summary: "key that grants join authorizations (default: the wallet)",
      placeholder: "<address>",
      environment: [],
    }),
  },
  check({ treasurerIndex, treasurerCollateralMint: mint }) {
    if (treasurerIndex === undefined || mint !== undefined) return [];
    return ["--treasurer-index makes sense only with --treasurer-collateral-mint"];
  },
  async run(command) {
    const { settings, output } = command;
    const { treasurerIndex: index, treasurerCollateralMint: mint } = settings;
    const treasurer = mint === undefined
      ? undefined
      : { collateralMint: parseAddress(mint, "--treasurer-collateral-mint"), index };
    const joinAuthority = settings.joinAuthority === undefined
      ? undefined
      : parseAddress(settings.joinAuthority, "--join-authority");
    const run = await withOperator(command, (context) =>
      createRun(context, {
        runId: settings.runId,
        clientVersion: settings.clientVersion,
        joinAuthority,
        treasurer,
      }));
    output.result(run, [
      `run "${run.runId}" ${run.outcome.dryRun ? "would be" : "is"} created`,
      `coordinator instance ${run.instance}`,
      // A dry run makes up an account that will never exist.
      ...(run.outcome.dryRun ? [] : [`coordinator account  ${run.coordinatorAccount}`]),
      ...(run.treasurer === null ? [] : [
        `treasurer ${run.treasurer.address} (index ${run.treasurer.index})`,
        `collateral goes to ${run.treasurer.collateralAccount}`,
      ]),
      `locked for storage ${formatSol(run.rentLamports)}`,
      ...outcomeLines(run.outcome),
      ...(run.recordPath === null ? [] : [`recorded in ${run.recordPath}`]),
    ]);
  },
});

if (import.meta.main) await runCommand(command);
