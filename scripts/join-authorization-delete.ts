/** Takes a join authorization back. */
import { defineCommand } from "../lib/cli/command.ts";
import { EVERYBODY } from "../lib/chain/authorizer.ts";
import { authorizationLines } from "../lib/cli/authorization_lines.ts";
import { text, toggle } from "../lib/cli/flag.ts";
import { CLUSTER_FLAGS, PROGRAM_FLAGS, SEND_FLAGS, WALLET_FLAGS } from "../lib/cli/flag_sets.ts";
import { outcomeLines } from "../lib/cli/outcome_lines.ts";
import { runCommand } from "../lib/cli/run_command.ts";
import { parseAddress, withOperator } from "../lib/cli/with_operator.ts";
import { revokeAuthorization } from "../lib/operator/authorizations.ts";

export const command = defineCommand({
  name: "join-authorization-delete",
  summary: "Switches an authorization of the wallet off, so that its grantee joins no more.",
  examples: [
    ["deno task join-authorization-delete -w owner.json --authorizer <GRANTEE>", "switch it off"],
    ["deno task join-authorization-delete -w owner.json --permissionless --close", "get rent back"],
  ],
  flags: {
    ...CLUSTER_FLAGS,
    ...WALLET_FLAGS,
    ...PROGRAM_FLAGS,
    ...SEND_FLAGS,
    permissionless: toggle({ summary: "the authorization of everybody", environment: [] }),
    authorizer: text({ summary: "the grantee", placeholder: "<address>" }),
    close: toggle({ summary: "close its account too; its rent comes back", environment: [] }),
  },
  check({ permissionless, authorizer }) {
    if (permissionless !== (authorizer !== undefined)) return [];
    return ["say whose authorization: either --authorizer or --permissionless"];
  },
  async run(command) {
    const { settings, output } = command;
    const grantee = settings.permissionless
      ? EVERYBODY
      : parseAddress(settings.authorizer!, "--authorizer");
    const result = await withOperator(
      command,
      (context) => revokeAuthorization(context, { grantee, close: settings.close }),
    );
    output.result(result, [
      ...authorizationLines(result.view),
      ...(result.outcome === null
        ? ["it was not active; nothing was sent"]
        : outcomeLines(result.outcome)),
      ...(result.closed ? ["its account is closed"] : []),
    ]);
  },
});

if (import.meta.main) await runCommand(command);
