/** Starts test clients in containers, each with a wallet of its own that the cluster's faucet fills. */
import { defineCommand } from "../lib/cli/command.ts";
import { clientCount, NUM_CLIENTS } from "../lib/cli/client_count.ts";
import { CLIENT_ENV_FLAG } from "../lib/cli/container_flags.ts";
import { runCommand } from "../lib/cli/run_command.ts";
import { startedLine } from "../lib/cli/started_line.ts";
import { readClientEnv, refuseLoopback } from "../lib/container/client_env.ts";
import { requireEngine } from "../lib/container/docker.ts";
import { startTestClients } from "../lib/container/test_clients.ts";

export const command = defineCommand({
  name: "train-multiple-gpu-localnet",
  summary: "Starts psyche-test-client-1 to -n with the settings of config/client/.env.",
  examples: [[
    "deno task train-multiple-gpu-localnet 2",
    "one GPU each; the CPU where there is none",
  ]],
  flags: CLIENT_ENV_FLAG,
  arguments: [NUM_CLIENTS],
  check: (_, [count]) => clientCount(count).problems,
  async run({ settings, positional, output, runtime, signal }) {
    const { clients } = clientCount(positional[0]);
    const env = await readClientEnv({ path: settings.envFile });
    refuseLoopback(env, settings.envFile);
    await requireEngine({ signal });
    const useGpu = runtime.environment("USE_GPU");
    const containers = await startTestClients(clients, { env, useGpu, say: output.say, signal });
    output.result({ containers }, [startedLine(containers, env.RUN_ID)]);
  },
});

if (import.meta.main) await runCommand(command);
