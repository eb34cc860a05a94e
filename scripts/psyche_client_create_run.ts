/** Creates, configures and starts a run from containers; docs/protocol/commands.md section 4.5. */
import { defineCommand } from "../lib/cli/command.ts";
import { CLIENT_ENV_FLAG, PRODUCTION_IMAGE_FLAG } from "../lib/cli/container_flags.ts";
import { runCommand } from "../lib/cli/run_command.ts";
import { runArguments } from "../lib/container/client_container.ts";
import {
  containerEnv,
  hostFile,
  readClientEnv,
  refuseLoopback,
} from "../lib/container/client_env.ts";
import { docker, requireEngine } from "../lib/container/docker.ts";

const CONFIG = "/model_config/config.toml";

export const command = defineCommand({
  name: "psyche_client_create_run",
  summary:
    "create-run, update-config and set-paused --resume in containers, from config/client/.env.",
  examples: [["./docker/psyche_client_create_run", "needs the image psyche-client"]],
  flags: { ...CLIENT_ENV_FLAG, ...PRODUCTION_IMAGE_FLAG },
  async run({ settings, output, signal }) {
    const env = await readClientEnv({
      required: ["WALLET_FILE", "RPC", "WS_RPC", "RUN_ID", "CONFIG_PATH"],
      files: ["WALLET_FILE", "CONFIG_PATH"],
      path: settings.envFile,
    });
    refuseLoopback(env, settings.envFile);
    await requireEngine({ signal });
    const wallet = await hostFile(env.WALLET_FILE);
    const config = await hostFile(env.CONFIG_PATH);
    const steps = [["create-run"], ["update-config", "--config-path", CONFIG], [
      "set-paused",
      "--resume",
    ]];
    for (const [name, ...args] of steps) {
      output.say(`${name} for run ${env.RUN_ID}`);
      const given = containerEnv(env);
      await docker(
        runArguments({
          image: settings.image,
          command: [name, ...args],
          env: given,
          wallet,
          files: name === "update-config" ? { [CONFIG]: config.path } : {},
          network: "bridge",
          remove: true,
        }),
        { environment: given, signal },
      );
    }
    output.result({ run_id: env.RUN_ID }, [`run ${env.RUN_ID} is created and started`]);
  },
});

if (import.meta.main) await runCommand(command);
