/** Shows a join authorization. */
import { defineCommand } from "../lib/cli/command.ts";
import { EVERYBODY } from "../lib/chain/authorizer.ts";
import { authorizationLines } from "../lib/cli/authorization_lines.ts";
import { defaulted, required, text } from "../lib/cli/flag.ts";
import { CLUSTER_FLAGS, PROGRAM_FLAGS } from "../lib/cli/flag_sets.ts";
import { runCommand } from "../lib/cli/run_command.ts";
import { parseAddress, withReader } from "../lib/cli/with_operator.ts";
import { readAuthorization } from "../lib/operator/authorizations.ts";

export const command = defineCommand({
  name: "join-authorization-read",
  summary: "Shows whether an authorization is active and who may use it. Needs no wallet.",
  examples: [
    ["deno task join-authorization-read --join-authority <GRANTOR>", "may everybody join?"],
  ],
  flags: {
    ...CLUSTER_FLAGS,
    ...PROGRAM_FLAGS,
    joinAuthority: required(text({ summary: "the grantor", placeholder: "<address>" })),
    authorizer: defaulted(
      text({ summary: "the grantee (default: everybody)", placeholder: "<address>" }),
      EVERYBODY.toBase58(),
    ),
  },
  async run(command) {
    const { settings, output } = command;
    const grantor = parseAddress(settings.joinAuthority, "--join-authority");
    const grantee = parseAddress(settings.authorizer, "--authorizer");
    const view = await withReader(
      command,
      (context) => readAuthorization(context, grantor, grantee),
    );
    output.result(view, authorizationLines(view));
  },
});

if (import.meta.main) await runCommand(command);
