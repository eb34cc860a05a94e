/** Starts a whole test network in containers, of images that are there. */
import { defineCommand } from "../lib/cli/command.ts";
import { runCommand } from "../lib/cli/run_command.ts";
import { clientCount, NUM_CLIENTS } from "../lib/cli/client_count.ts";
import { counted } from "../lib/cli/counted.ts";
import { requireEngine } from "../lib/container/docker.ts";
import { startTestNetwork } from "../lib/container/test_network.ts";

export const command = defineCommand({
  name: "run_test_infra",
  summary:
    "Starts validator, run owner and clients in containers; setup_test_infra builds them first.",
  examples: [["deno task run_test_infra 2", "two clients"]],
  flags: {},
  arguments: [NUM_CLIENTS],
  check: (_, [count]) => clientCount(count).problems,
  async run({ positional, output, runtime, signal }) {
    const { clients } = clientCount(positional[0]);
    await requireEngine({ signal });
    const useGpu = runtime.environment("USE_GPU");
    await startTestNetwork({ clients, useGpu, signal, say: output.say });
    output.result({ clients }, [`a test network with ${counted(clients, "client")} is up`]);
  },
});

if (import.meta.main) await runCommand(command);
