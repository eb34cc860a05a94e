/** Makes a token for test runs with rewards. */
import { defineCommand } from "../lib/cli/command.ts";
import { defaulted, integer, u64 } from "../lib/cli/flag.ts";
import { CLUSTER_FLAGS, PROGRAM_FLAGS, SEND_FLAGS, WALLET_FLAGS } from "../lib/cli/flag_sets.ts";
import { outcomeLines } from "../lib/cli/outcome_lines.ts";
import { runCommand } from "../lib/cli/run_command.ts";
import { withOperator } from "../lib/cli/with_operator.ts";
import { createToken } from "../lib/operator/create_token.ts";
import { formatTokenAmount } from "../lib/operator/token_amount.ts";

export const command = defineCommand({
  name: "create-test-token",
  summary: "Makes an SPL token for test runs with rewards; the wallet gets all of it.",
  examples: [["deno task create-test-token --rpc devnet", "a million whole tokens"]],
  flags: {
    ...CLUSTER_FLAGS,
    ...WALLET_FLAGS,
    ...PROGRAM_FLAGS,
    ...SEND_FLAGS,
    decimals: defaulted(
      integer({ summary: "digits after the point", max: 18, environment: [] }),
      "0",
    ),
    supply: defaulted(u64({ summary: "base units to make", environment: [] }), "1000000"),
  },
  async run(command) {
    const { settings, output } = command;
    const token = await withOperator(command, (context) => createToken(context, settings));
    output.result(token, [
      `mint ${token.mint}${settings.dryRun ? " (made up)" : ""}`,
      `${formatTokenAmount(token.supply)} in ${token.tokenAccount}`,
      ...outcomeLines(token.outcome),
    ]);
  },
});

if (import.meta.main) await runCommand(command);
