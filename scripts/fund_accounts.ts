/** Makes and funds the wallets of a fleet of clients. */
import { defineCommand } from "../lib/cli/command.ts";
import { decimal, defaulted, text } from "../lib/cli/flag.ts";
import { CLUSTER_FLAGS, PROGRAM_FLAGS, SEND_FLAGS, WALLET_FLAGS } from "../lib/cli/flag_sets.ts";
import { fundingLines, fundingQuestion } from "../lib/cli/funding_lines.ts";
import { createProgress } from "../lib/cli/progress.ts";
import { confirmOrThrow } from "../lib/cli/prompt.ts";
import { runCommand } from "../lib/cli/run_command.ts";
import { withArguments, withOperator } from "../lib/cli/with_operator.ts";
import { fundAccounts } from "../lib/operator/fund_accounts.ts";
import { loadFleet, MAX_FLEET, readRecipients } from "../lib/operator/funding_keys.ts";
import { LAMPORTS_PER_SOL } from "../lib/operator/lamports.ts";

export const command = defineCommand({
  name: "fund_accounts",
  summary: "Brings wallets up to an amount of SOL; makes their keys when no addresses are given.",
  examples: [
    ["deno task fund_accounts owner.json 4 --rpc devnet", "make and fund four wallets"],
    ["deno task fund_accounts owner.json 2 pubkeys.txt --amount 0.1", "fund two given addresses"],
  ],
  flags: {
    ...CLUSTER_FLAGS,
    ...WALLET_FLAGS,
    ...PROGRAM_FLAGS,
    ...SEND_FLAGS,
    amount: defaulted(
      decimal({ summary: "SOL that each account shall hold", max: 9_000_000, environment: [] }),
      "1",
    ),
    keysDirectory: defaulted(
      text({ summary: "where keypair_<n>.json and pubkeys.txt go", placeholder: "<folder>" }),
      "devnet_funded_accounts",
    ),
  },
  arguments: [
    { name: "WALLET", summary: "keypair file that pays" },
    { name: "NUM_ACCOUNTS", summary: "how many accounts" },
    { name: "PUBKEYS_FILE", summary: "addresses to fund, one per line", optional: true },
  ],
  check(_, [, count]) {
    if (/^[1-9]\d*$/.test(count) && Number(count) <= MAX_FLEET) return [];
    return [`NUM_ACCOUNTS "${count}" is not a whole number from 1 to ${MAX_FLEET}`];
  },
  async run(command) {
    const { output, runtime, signal } = command;
    const [wallet, count, file] = command.positional;
    const given = withArguments(command, { walletPrivateKeyPath: wallet });
    const { settings } = given;
    const fleet = file === undefined
      ? await loadFleet(settings.keysDirectory, Number(count))
      : undefined;
    const { recipients, unused } = fleet === undefined
      ? await readRecipients(file, Number(count))
      : { recipients: fleet.wanted, unused: 0 };
    if (unused > 0) output.warn(`the last ${unused} addresses of ${file} are left out`);
    const progress = createProgress(output);
    const result = await withOperator(given, (context) =>
      fundAccounts(context, {
        recipients,
        fleet,
        targetLamports: Math.round(settings.amount * LAMPORTS_PER_SOL),
        confirm(plan) {
          output.say(fundingQuestion(plan, settings.keysDirectory));
          const { yes } = settings;
          return confirmOrThrow("Continue?", { yes, terminal: runtime.terminal, signal });
        },
        onProgress: (done, total) => progress.update("accounts funded", done, total),
      }));
    output.result(result, fundingLines(result));
  },
});

if (import.meta.main) await runCommand(command);
