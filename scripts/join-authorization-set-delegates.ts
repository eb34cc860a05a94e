/** Replaces the delegates of a grantee by the keys of some files. */
import { defineCommand } from "../lib/cli/command.ts";
import { authorizationLines } from "../lib/cli/authorization_lines.ts";
import { CLUSTER_FLAGS, PROGRAM_FLAGS, SEND_FLAGS, WALLET_FLAGS } from "../lib/cli/flag_sets.ts";
import { outcomeLines } from "../lib/cli/outcome_lines.ts";
import { runCommand } from "../lib/cli/run_command.ts";
import { parseAddress, withArguments, withOperator } from "../lib/cli/with_operator.ts";
import { loadWallet } from "../lib/chain/wallet.ts";
import { setDelegates } from "../lib/operator/authorizations.ts";

export const command = defineCommand({
  name: "join-authorization-set-delegates",
  summary: "Makes the keys of the given files the only delegates; without files there are none.",
  examples: [
    [
      "deno task join-authorization-set-delegates devnet <GRANTOR> grantee.json keypair_1.json",
      "one delegate",
    ],
  ],
  flags: { ...CLUSTER_FLAGS, ...WALLET_FLAGS, ...PROGRAM_FLAGS, ...SEND_FLAGS },
  arguments: [
    { name: "RPC", summary: "cluster, in place of --rpc" },
    { name: "GRANTOR", summary: "address of the join authority" },
    { name: "GRANTEE_KEYFILE", summary: "keypair file of the grantee, who also pays" },
    {
      name: "DELEGATE_KEYFILES",
      summary: "keypair files of delegates",
      optional: true,
      rest: true,
    },
  ],
  async run(command) {
    const { output, positional: [rpc, grantorText, keyFile, ...files] } = command;
    const grantor = parseAddress(grantorText, "the grantor");
    const wallets = await Promise.all(files.map(loadWallet));
    const added = wallets.map(({ keypair }) => keypair.publicKey);
    const result = await withOperator(
      withArguments(command, { rpc, walletPrivateKeyPath: keyFile }),
      (context) => setDelegates(context, { grantor, clear: true, added }),
    );
    output.result(result, [
      ...authorizationLines(result.view),
      ...result.outcomes.flatMap(outcomeLines),
    ]);
  },
});

if (import.meta.main) await runCommand(command);
