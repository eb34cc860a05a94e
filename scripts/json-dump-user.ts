/** Prints what the chain knows of one wallet in a run. */
import { defineCommand } from "../lib/cli/command.ts";
import { required, text } from "../lib/cli/flag.ts";
import { CLUSTER_FLAGS, PROGRAM_FLAGS, RUN_ID_FLAG, TREASURER_FLAG } from "../lib/cli/flag_sets.ts";
import { toJson } from "../lib/cli/json.ts";
import { runCommand } from "../lib/cli/run_command.ts";
import { parseAddress, withReader } from "../lib/cli/with_operator.ts";
import { describeUser } from "../lib/operator/describe_user.ts";

export const command = defineCommand({
  name: "json-dump-user",
  summary: "Prints a wallet's part in a run as one JSON document. Needs no wallet.",
  examples: [["deno task json-dump-user -r test --address <KEY>", "points, rewards, state"]],
  flags: {
    ...RUN_ID_FLAG,
    ...TREASURER_FLAG,
    ...CLUSTER_FLAGS,
    ...PROGRAM_FLAGS,
    address: required(
      text({
        summary: "the wallet's address",
        placeholder: "<address>",
        aliases: ["wallet", "user"],
        environment: [],
      }),
    ),
  },
  async run(command) {
    const { runId, treasurerIndex, address: given } = command.settings;
    const address = parseAddress(given, "--address");
    const document = await withReader(
      command,
      (context) => describeUser(context, { runId, treasurerIndex, address }),
    );
    command.output.result(document, [toJson(document)]);
  },
});

if (import.meta.main) await runCommand(command);
