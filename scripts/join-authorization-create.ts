/** Lets a grantee, or everybody, join the runs of a join authority. */
import { defineCommand } from "../lib/cli/command.ts";
import { EVERYBODY } from "../lib/chain/authorizer.ts";
import { text, toggle } from "../lib/cli/flag.ts";
import { CLUSTER_FLAGS, PROGRAM_FLAGS, SEND_FLAGS, WALLET_FLAGS } from "../lib/cli/flag_sets.ts";
import { outcomeLines } from "../lib/cli/outcome_lines.ts";
import { runCommand } from "../lib/cli/run_command.ts";
import { parseAddress, withOperator } from "../lib/cli/with_operator.ts";
import { createJoinAuthorization } from "../lib/operator/create_authorization.ts";

export const command = defineCommand({
  name: "join-authorization-create",
  summary: "Creates and activates a join authorization; does nothing when it is active already.",
  examples: [
    ["deno task join-authorization-create devnet owner.json <GRANTEE>", "let a grantee join"],
    ["deno task join-authorization-create -w owner.json --permissionless", "let everybody join"],
  ],
  flags: {
    ...CLUSTER_FLAGS,
    ...WALLET_FLAGS,
    ...PROGRAM_FLAGS,
    ...SEND_FLAGS,
    permissionless: toggle({ summary: "let everybody join", environment: [] }),
    authorizer: text({ summary: "the grantee", placeholder: "<address>" }),
  },
  arguments: [
    { name: "RPC", summary: "cluster, in place of --rpc" },
    { name: "KEYFILE", summary: "keypair file of the grantor, who also pays" },
    { name: "GRANTEE", summary: "address that may join, or let delegates join" },
  ],
  optionalArguments: true,
  check({ permissionless, authorizer }, [, , grantee]) {
    const given = [permissionless || undefined, authorizer, grantee].filter(Boolean).length;
    if (given === 0) return ["say who may join: GRANTEE, --authorizer or --permissionless"];
    return permissionless && grantee ? ["--permissionless and a GRANTEE exclude each other"] : [];
  },
  async run(command) {
    const { output } = command;
    const [rpc, keyFile, granteeText] = command.positional;
    const settings = { ...command.settings };
    const origins = { ...command.origins };
    const argument = (detail: string) => ({ source: "flag" as const, detail });
    if (rpc !== undefined) [settings.rpc, origins.rpc] = [rpc, argument("argument RPC")];
    if (keyFile !== undefined) {
      settings.walletPrivateKeyPath = keyFile;
      origins.walletPrivateKeyPath = argument("argument KEYFILE");
    }
    const grantee = settings.permissionless
      ? EVERYBODY
      : parseAddress(granteeText ?? settings.authorizer!, "the grantee");
    const result = await withOperator(
      { ...command, settings, origins },
      (context) => createJoinAuthorization(context, { grantor: context.payer, grantee }),
    );
    output.result(result, [
      `authorization ${result.authorization}`,
      `grantor ${result.grantor}`,
      `grantee ${result.grantee}${settings.permissionless ? " (everybody)" : ""}`,
      ...(result.outcome === null
        ? ["it is active already; nothing was sent"]
        : outcomeLines(result.outcome)),
    ]);
  },
});

if (import.meta.main) await runCommand(command);
