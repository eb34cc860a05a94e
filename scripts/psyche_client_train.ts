/** Trains with one container in the foreground; docs/protocol/commands.md section 4.6. */
import { defineCommand } from "../lib/cli/command.ts";
import { counted } from "../lib/cli/counted.ts";
import { defaulted, text } from "../lib/cli/flag.ts";
import { CLIENT_ENV_FLAG, PRODUCTION_IMAGE_FLAG } from "../lib/cli/container_flags.ts";
import { runCommand } from "../lib/cli/run_command.ts";
import { runArguments } from "../lib/container/client_container.ts";
import { containerEnv, hostFile, readClientEnv } from "../lib/container/client_env.ts";
import { docker, dockerOutput, gpuCount, requireEngine } from "../lib/container/docker.ts";
import { pullMissing } from "../lib/container/pull_missing.ts";

export const command = defineCommand({
  name: "psyche_client_train",
  summary: "Trains with the image psyche-client, the wallet and settings of config/client/.env.",
  examples: [["./docker/psyche_client_train", "on all GPUs, or on the CPU; Ctrl+C leaves the run"]],
  flags: {
    ...CLIENT_ENV_FLAG,
    ...PRODUCTION_IMAGE_FLAG,
    name: defaulted(
      text({ summary: "of the container and its volume", environment: [] }),
      "psyche-client",
    ),
  },
  async run({ settings, output, runtime, signal }) {
    const env = await readClientEnv({
      required: ["WALLET_FILE", "RPC", "WS_RPC", "RUN_ID"],
      files: ["WALLET_FILE"],
      path: settings.envFile,
    });
    await requireEngine({ signal });
    const gpus = await gpuCount(runtime.environment("USE_GPU") ?? env.USE_GPU);
    output.say(`training run ${env.RUN_ID} on ${gpus > 0 ? counted(gpus, "GPU") : "the CPU"}`);
    const given = containerEnv(env);
    const { name, image } = settings;
    const wallet = await hostFile(env.WALLET_FILE);
    await pullMissing(image, { signal });
    signal.throwIfAborted();
    // Ctrl+C reaches the container's process through docker itself; a SIGTERM does not.
    const stop = () => void dockerOutput(["stop", name]).catch(() => {});
    signal.addEventListener("abort", stop, { once: true });
    await docker(
      runArguments({
        name,
        image,
        command: ["supervise"],
        env: given,
        wallet,
        // Peers on other machines have to reach it.
        network: "host",
        gpu: gpus > 0 ? "all" : undefined,
        remove: true,
      }),
      { environment: given, isResult: !output.json },
    );
    output.result({ run_id: env.RUN_ID }, [`left run ${env.RUN_ID}`]);
  },
});

if (import.meta.main) await runCommand(command);
