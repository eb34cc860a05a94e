/** Closes deployed programs. */
import { defineCommand } from "../lib/cli/command.ts";
import { CLUSTER_FLAGS, PROGRAM_FLAGS, SEND_FLAGS, WALLET_FLAGS } from "../lib/cli/flag_sets.ts";
import { outcomeLines } from "../lib/cli/outcome_lines.ts";
import { agrees } from "../lib/cli/prompt.ts";
import { runCommand } from "../lib/cli/run_command.ts";
import { withOperator } from "../lib/cli/with_operator.ts";
import { closePrograms } from "../lib/operator/close_programs.ts";
import { formatSol } from "../lib/operator/lamports.ts";

export const command = defineCommand({
  name: "close-programs",
  summary: "Closes the programs that belong to the wallet, for good; the locked SOL comes back.",
  examples: [
    ["deno task close-programs --rpc devnet -w owner.json --dry-run", "show what comes back"],
    ["deno task close-programs --rpc devnet -w owner.json", "close them, after a question"],
  ],
  flags: { ...CLUSTER_FLAGS, ...WALLET_FLAGS, ...PROGRAM_FLAGS, ...SEND_FLAGS },
  async run(command) {
    const { settings, output, runtime, signal } = command;
    const result = await withOperator(command, (context) =>
      closePrograms(context, (programs) => {
        const names = programs.map(({ name, address }) => `${name} ${address}`).join(", ");
        const question = `Close ${names} on ${context.cluster}? No run of them can ever be used ` +
          `again, and the addresses are lost.`;
        return agrees(question, { yes: settings.yes, terminal: runtime.terminal, signal });
      }));
    output.result(result, [
      ...result.kept.map(({ name, address, reason }) => `${name} ${address} stays: ${reason}`),
      ...result.closed.flatMap(({ name, address, recoveredLamports, outcome }) => [
        `${name} ${address} ${settings.dryRun ? "would be" : "is"} closed`,
        `recovered ${formatSol(recoveredLamports)}`,
        ...outcomeLines(outcome),
      ]),
      ...(result.closed.length === 0 ? ["nothing was closed"] : []),
    ]);
  },
});

if (import.meta.main) await runCommand(command);
