/** Pays a client what it earned. */
import { defineCommand } from "../lib/cli/command.ts";
import { u64 } from "../lib/cli/flag.ts";
import { OPERATOR_FLAGS, WALLET_FLAGS } from "../lib/cli/flag_sets.ts";
import { outcomeLines } from "../lib/cli/outcome_lines.ts";
import { runCommand } from "../lib/cli/run_command.ts";
import { withOperator } from "../lib/cli/with_operator.ts";
import { claimRewards } from "../lib/operator/claim_rewards.ts";
import { formatTokenAmount } from "../lib/operator/token_amount.ts";

export const command = defineCommand({
  name: "treasurer-claim-rewards",
  summary: "Claims what the wallet earned in a run, as far as the treasurer can pay.",
  examples: [["deno task treasurer-claim-rewards -r test -w client.json", "claim everything"]],
  flags: {
    ...OPERATOR_FLAGS,
    walletPrivateKeyPath: { ...WALLET_FLAGS.walletPrivateKeyPath, fromRunRecord: undefined },
    maxClaimedPoints: u64({ summary: "claim no more than this many points (base units)" }),
  },
  async run(command) {
    const { output } = command;
    const result = await withOperator(
      command,
      (context) => claimRewards(context, command.settings),
    );
    const { outcome, claimed, missing } = result;
    output.result(result, [
      `treasurer ${result.treasurer} (index 0x${BigInt(result.index).toString(16)})`,
      `mint ${result.mint}`,
      `earned ${result.earnedPoints} points, claimed before ${result.claimedBefore}`,
      `claimed now: ${formatTokenAmount(claimed)}`,
      ...(missing.raw === 0n
        ? []
        : [`not covered by the treasurer: ${formatTokenAmount(missing)}; claim again later`]),
      `wallet: ${formatTokenAmount(result.userBefore)} -> ${formatTokenAmount(result.userAfter)}`,
      ...(outcome === null
        ? ["there is nothing to claim; nothing was sent"]
        : outcomeLines(outcome)),
    ]);
  },
});

if (import.meta.main) await runCommand(command);
