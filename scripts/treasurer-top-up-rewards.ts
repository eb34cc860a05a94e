/** Puts collateral into a run's treasurer. */
import { defineCommand } from "../lib/cli/command.ts";
import { required } from "../lib/cli/flag.ts";
import { OPERATOR_FLAGS } from "../lib/cli/flag_sets.ts";
import { outcomeLines } from "../lib/cli/outcome_lines.ts";
import { runCommand } from "../lib/cli/run_command.ts";
import { tokenAmountFlag } from "../lib/cli/token_flag.ts";
import { withOperator } from "../lib/cli/with_operator.ts";
import { formatTokenAmount } from "../lib/operator/token_amount.ts";
import { topUpRewards } from "../lib/operator/top_up_rewards.ts";

export const command = defineCommand({
  name: "treasurer-top-up-rewards",
  summary: "Pays collateral into a run's treasurer, from which its clients are rewarded.",
  examples: [
    [
      "deno task treasurer-top-up-rewards -r test --collateral-amount 5000000",
      "5,000,000 base units",
    ],
    ["deno task treasurer-top-up-rewards -r test --collateral-amount 5ui", "5 whole tokens"],
  ],
  flags: {
    ...OPERATOR_FLAGS,
    collateralAmount: required(
      tokenAmountFlag({
        summary: "a whole number counts base units; 5ui or 5.0 count tokens",
      }),
    ),
  },
  async run(command) {
    const { settings, output } = command;
    const { runId, treasurerIndex, collateralAmount: amount } = settings;
    const result = await withOperator(
      command,
      (context) => topUpRewards(context, { runId, treasurerIndex, amount }),
    );
    output.result(result, [
      `treasurer ${result.treasurer} (index 0x${BigInt(result.index).toString(16)})`,
      `mint ${result.mint}`,
      `paid in: ${formatTokenAmount(result.amount)}`,
      `treasurer: ${formatTokenAmount(result.treasurerBefore)} -> ` +
      formatTokenAmount(result.treasurerAfter),
      `wallet before: ${formatTokenAmount(result.userBefore)}`,
      ...outcomeLines(result.outcome),
    ]);
  },
});

if (import.meta.main) await runCommand(command);
