/** Lets keys join runs in the name of a grantee. */
import { defineCommand } from "../lib/cli/command.ts";
import { authorizationLines } from "../lib/cli/authorization_lines.ts";
import { list, required, text, toggle } from "../lib/cli/flag.ts";
import { CLUSTER_FLAGS, PROGRAM_FLAGS, SEND_FLAGS, WALLET_FLAGS } from "../lib/cli/flag_sets.ts";
import { outcomeLines } from "../lib/cli/outcome_lines.ts";
import { runCommand } from "../lib/cli/run_command.ts";
import { parseAddress, withOperator } from "../lib/cli/with_operator.ts";
import { loadWallet } from "../lib/chain/wallet.ts";
import { setDelegates } from "../lib/operator/authorizations.ts";

export const command = defineCommand({
  name: "join-authorization-delegate",
  summary: "Adds or clears the keys that may join in the name of the wallet, which is the grantee.",
  examples: [
    [
      "deno task join-authorization-delegate -w grantee.json --join-authority <GRANTOR> " +
      "--delegates-added <KEY> <KEY>",
      "let two keys join",
    ],
    [
      "deno task join-authorization-delegate -w grantee.json --join-authority <GRANTOR> " +
      "--delegates-clear --delegates-added keypair_1.json",
      "let only the key of that file join",
    ],
  ],
  flags: {
    ...CLUSTER_FLAGS,
    ...WALLET_FLAGS,
    ...PROGRAM_FLAGS,
    ...SEND_FLAGS,
    joinAuthority: required(text({ summary: "the grantor", placeholder: "<address>" })),
    delegatesClear: toggle({ summary: "first remove all", environment: [] }),
    delegatesAdded: list({
      summary: "addresses, or keypair files, to add",
      placeholder: "<key...>",
      aliases: ["delegate-added"],
      environment: [],
    }),
  },
  check({ delegatesClear, delegatesAdded }) {
    if (delegatesClear || (delegatesAdded?.length ?? 0) > 0) return [];
    return ["there is nothing to change; give --delegates-added or --delegates-clear"];
  },
  async run(command) {
    const { settings, output } = command;
    const grantor = parseAddress(settings.joinAuthority, "--join-authority");
    const added = await Promise.all(
      (settings.delegatesAdded ?? []).map(async (key) =>
        key.endsWith(".json")
          ? (await loadWallet(key)).keypair.publicKey
          : parseAddress(key, "--delegates-added")
      ),
    );
    const result = await withOperator(
      command,
      (context) => setDelegates(context, { grantor, clear: settings.delegatesClear, added }),
    );
    output.result(result, [
      ...authorizationLines(result.view),
      ...(result.outcomes.length === 0 ? ["nothing to change; nothing was sent"] : []),
      ...result.outcomes.flatMap(outcomeLines),
    ]);
  },
});

if (import.meta.main) await runCommand(command);
