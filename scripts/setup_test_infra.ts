/** Builds and starts a whole test network in containers. */
import { defineCommand } from "../lib/cli/command.ts";
import { runCommand } from "../lib/cli/run_command.ts";
import { clientCount, NUM_CLIENTS } from "../lib/cli/client_count.ts";
import { counted } from "../lib/cli/counted.ts";
import { requireEngine } from "../lib/container/docker.ts";
import { buildTestNetwork, startTestNetwork } from "../lib/container/test_network.ts";

export const command = defineCommand({
  name: "setup_test_infra",
  summary: "Builds the images and starts validator, run owner and clients in containers.",
  examples: [[
    "deno task setup_test_infra 3",
    "three clients; logs: docker logs -f test-psyche-test-client-1",
  ]],
  flags: {},
  arguments: [NUM_CLIENTS],
  check: (_, [count]) => clientCount(count).problems,
  async run({ positional, output, runtime, signal }) {
    const { clients } = clientCount(positional[0]);
    await requireEngine({ signal });
    await buildTestNetwork({ signal });
    const useGpu = runtime.environment("USE_GPU");
    await startTestNetwork({ clients, useGpu, signal, say: output.say });
    output.result({ clients }, [`a test network with ${counted(clients, "client")} is up`]);
  },
});

if (import.meta.main) await runCommand(command);
