/** Builds the test client's image and starts clients of it. */
import { defineCommand } from "../lib/cli/command.ts";
import { clientCount, NUM_CLIENTS } from "../lib/cli/client_count.ts";
import { addressCheck, IMAGE_FLAGS } from "../lib/cli/image_flags.ts";
import { CLIENT_ENV_FLAG } from "../lib/cli/container_flags.ts";
import { runCommand } from "../lib/cli/run_command.ts";
import { startedLine } from "../lib/cli/started_line.ts";
import { buildImage, confirmAddresses } from "../lib/container/build_image.ts";
import { onThisMachine, readClientEnv, refuseLoopback } from "../lib/container/client_env.ts";
import { requireEngine } from "../lib/container/docker.ts";
import { startTestClients } from "../lib/container/test_clients.ts";

export const command = defineCommand({
  name: "setup_clients",
  summary: "Checks the program addresses, builds psyche-test-client and starts clients of it.",
  examples: [["deno task setup_clients 2", "one GPU each; the CPU where there is none"]],
  flags: { ...IMAGE_FLAGS, ...CLIENT_ENV_FLAG },
  arguments: [NUM_CLIENTS],
  check: (_, [count]) => clientCount(count).problems,
  async run({ settings, origins, positional, output, runtime, signal }) {
    const { clients } = clientCount(positional[0]);
    const env = await readClientEnv({ path: settings.envFile });
    refuseLoopback(env, settings.envFile);
    await requireEngine({ signal });
    const rpc = origins.rpc?.source === "flag" ? settings.rpc : onThisMachine(env.RPC);
    await confirmAddresses(addressCheck({ ...settings, rpc }), signal);
    await buildImage("psyche-test-client", { ...settings, signal });
    const useGpu = runtime.environment("USE_GPU");
    const containers = await startTestClients(clients, { env, useGpu, say: output.say, signal });
    output.result({ containers }, [startedLine(containers, env.RUN_ID)]);
  },
});

if (import.meta.main) await runCommand(command);
