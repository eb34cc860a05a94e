/** Sets what clients earn and lose in epochs to come. */
import { defineCommand } from "../lib/cli/command.ts";
import { u64 } from "../lib/cli/flag.ts";
import { OPERATOR_FLAGS } from "../lib/cli/flag_sets.ts";
import { outcomeLines } from "../lib/cli/outcome_lines.ts";
import { runCommand } from "../lib/cli/run_command.ts";
import { tokenAmountFlag } from "../lib/cli/token_flag.ts";
import { withOperator } from "../lib/cli/with_operator.ts";
import { type Rate, setRates } from "../lib/operator/set_rates.ts";
import { formatTokenAmount } from "../lib/operator/token_amount.ts";

export const command = defineCommand({
  name: "set-future-epoch-rates",
  summary: "Sets what the clients of later epochs earn together and what a failing one loses.",
  examples: [
    ["deno task set-future-epoch-rates -r test --earning-rate 1000", "1000 points an epoch"],
    [
      "deno task set-future-epoch-rates -r test --earning-rate-total-shared 2.5",
      "2.5 tokens an epoch; for runs with a treasurer",
    ],
  ],
  flags: {
    ...OPERATOR_FLAGS,
    earningRate: u64({
      summary: "points (base units of the collateral) that the finishing clients share",
    }),
    slashingRate: u64({ summary: "points that a failing client loses" }),
    earningRateTotalShared: tokenAmountFlag({ summary: "--earning-rate in tokens" }),
    slashingRatePerClient: tokenAmountFlag({ summary: "--slashing-rate in tokens" }),
  },
  check(settings) {
    const { earningRate, earningRateTotalShared: earningTokens } = settings;
    const { slashingRate, slashingRatePerClient: slashingTokens } = settings;
    const all = [earningRate, earningTokens, slashingRate, slashingTokens];
    if (all.every((rate) => rate === undefined)) {
      return ["there is nothing to change; give an earning or a slashing rate"];
    }
    const isTwice = (a: unknown, b: unknown) => a !== undefined && b !== undefined;
    return [
      ...(isTwice(earningRate, earningTokens) ? ["the earning rate is given in two units"] : []),
      ...(isTwice(slashingRate, slashingTokens) ? ["the slashing rate is given in two units"] : []),
    ];
  },
  async run(command) {
    const { settings, output } = command;
    const result = await withOperator(command, (context) =>
      setRates(context, {
        ...settings,
        earningTokens: settings.earningRateTotalShared,
        slashingTokens: settings.slashingRatePerClient,
      }));
    const shown = ({ before, after, tokens }: Rate) =>
      `${before} -> ${after} points${tokens === null ? "" : `, ${formatTokenAmount(tokens)}`}`;
    output.result(result, [
      `shared by the finishing clients of an epoch: ${shown(result.earningRateTotalShared)}`,
      `lost by each failing client: ${shown(result.slashingRatePerClient)}`,
      ...(result.outcome === null ? ["nothing to change"] : outcomeLines(result.outcome)),
    ]);
  },
});

if (import.meta.main) await runCommand(command);
