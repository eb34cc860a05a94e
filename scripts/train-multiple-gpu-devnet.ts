/** Starts production clients in containers, one funded wallet and one GPU each. */
import { defineCommand } from "../lib/cli/command.ts";
import { clientCount, NUM_CLIENTS } from "../lib/cli/client_count.ts";
import { CLIENT_ENV_FLAG, PRODUCTION_IMAGE_FLAG } from "../lib/cli/container_flags.ts";
import { runCommand } from "../lib/cli/run_command.ts";
import { startedLine } from "../lib/cli/started_line.ts";
import { hostFile, readClientEnv } from "../lib/container/client_env.ts";
import { requireEngine } from "../lib/container/docker.ts";
import { fleetWallets } from "../lib/container/fleet_wallets.ts";
import { startFleet } from "../lib/container/start_fleet.ts";

export const command = defineCommand({
  name: "train-multiple-gpu-devnet",
  summary: "Starts psyche-client-1 to -n with the wallets of devnet_funded_accounts.",
  examples: [["deno task train-multiple-gpu-devnet 4", "after fund_accounts has made the wallets"]],
  flags: { ...CLIENT_ENV_FLAG, ...PRODUCTION_IMAGE_FLAG },
  arguments: [NUM_CLIENTS],
  check: (_, [count]) => clientCount(count).problems,
  async run({ settings, positional, output, runtime, signal }) {
    const { clients } = clientCount(positional[0]);
    const env = await readClientEnv({ path: settings.envFile });
    const wallets = await fleetWallets("devnet_funded_accounts", clients);
    await requireEngine({ signal });
    const members = await Promise.all(wallets.map(async (wallet, i) => ({
      name: `psyche-client-${i + 1}`,
      image: settings.image,
      command: ["supervise"],
      wallet: await hostFile(wallet),
      // Peers on other machines have to reach it.
      network: "host" as const,
      remove: true,
    })));
    const useGpu = runtime.environment("USE_GPU");
    const containers = await startFleet(members, { env, useGpu, say: output.say, signal });
    output.result({ containers }, [startedLine(containers, env.RUN_ID)]);
  },
});

if (import.meta.main) await runCommand(command);
