/** Ends the test network of setup_test_infra. */
import { defineCommand } from "../lib/cli/command.ts";
import { runCommand } from "../lib/cli/run_command.ts";
import { requireEngine } from "../lib/container/docker.ts";
import { stopTestNetwork } from "../lib/container/test_network.ts";

export const command = defineCommand({
  name: "stop_test_infra",
  summary: "Stops and removes the containers, the network and the owner's key of the test network.",
  examples: [["deno task stop_test_infra", "images stay"]],
  flags: {},
  async run({ output, signal }) {
    await requireEngine({ signal });
    await stopTestNetwork({ signal });
    output.result({}, ["the test network is gone"]);
  },
});

if (import.meta.main) await runCommand(command);
