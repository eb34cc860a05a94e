/** Starts production clients in containers, one funded wallet and one GPU each. */
import { defineCommand } from "../lib/cli/command.ts";
import { availableParallelism } from "node:os";
import { clientCount, NUM_CLIENTS } from "../lib/cli/client_count.ts";
import { CLIENT_ENV_FLAG, PRODUCTION_IMAGE_FLAG } from "../lib/cli/container_flags.ts";
import { runCommand } from "../lib/cli/run_command.ts";
import { containerEnv, hostFile, readClientEnv } from "../lib/container/client_env.ts";
import { gpuCount, requireEngine } from "../lib/container/docker.ts";
import { fleetWallets } from "../lib/container/fleet_wallets.ts";
import { gpuOf, startFleet, threadsEach } from "../lib/container/start_fleet.ts";

export const command = defineCommand({
  name: "train-multiple-gpu-devnet",
  summary: "Starts psyche-client-1 to -n with the wallets of devnet_funded_accounts.",
  examples: [["deno task train-multiple-gpu-devnet 4", "after fund_accounts has made the wallets"]],
  flags: { ...CLIENT_ENV_FLAG, ...PRODUCTION_IMAGE_FLAG },
  arguments: [NUM_CLIENTS],
  check: (_, [count]) => clientCount(count).problems,
  async run({ settings, positional, output, runtime, signal }) {
    const { clients } = clientCount(positional[0]);
    const env = await readClientEnv({
      required: ["RPC", "WS_RPC", "RUN_ID"],
      path: settings.envFile,
    });
    const wallets = await fleetWallets("devnet_funded_accounts", clients);
    await requireEngine({ signal });
    const gpus = await gpuCount(runtime.environment("USE_GPU") ?? env.USE_GPU);
    const threads = { THREADS: String(threadsEach(clients, availableParallelism())) };
    const containers = await Promise.all(wallets.map(async (wallet, i) => ({
      name: `psyche-client-${i + 1}`,
      image: settings.image,
      command: ["supervise"],
      env: { ...threads, ...containerEnv(env) },
      wallet: await hostFile(wallet),
      // Peers on other machines have to reach it.
      network: "host" as const,
      gpu: gpuOf(i, clients, gpus),
      detached: true,
      remove: true,
    })));
    const where = gpus > 0 ? "on a GPU of its own" : "on the CPU, because no GPU was found";
    await startFleet(containers, {
      signal,
      onStart: (name) => output.say(`${name} trains ${where}`),
    });
    output.result({ containers: containers.map(({ name }) => name) }, [
      `${clients} clients train run ${env.RUN_ID}`,
    ]);
  },
});

if (import.meta.main) await runCommand(command);
