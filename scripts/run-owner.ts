/** The run owner of a test network: funds itself and brings a run to life; exits 0 only if all worked. */
import { defineCommand } from "../lib/cli/command.ts";
import { CLUSTER_FLAGS, PROGRAM_FLAGS, WALLET_FLAGS } from "../lib/cli/flag_sets.ts";
import { findOrMakeWallet } from "../lib/cli/find_wallet.ts";
import { configPath, NEW_RUN_FLAGS } from "../lib/cli/localnet_flags.ts";
import { runCommand } from "../lib/cli/run_command.ts";
import { sayWallet } from "../lib/cli/say_wallet.ts";
import { closeOperator, openOperator } from "../lib/operator/context.ts";
import { loadRunConfig } from "../lib/operator/load_run_config.ts";
import { prepareRun } from "../lib/operator/prepare_run.ts";
import { withLocalData } from "../lib/operator/served_data.ts";

export const command = defineCommand({
  name: "run-owner",
  summary: "Creates and starts a run on a test validator, with a wallet of its own.",
  examples: [["deno task run-owner --rpc http://validator:8899 --run-id test", "in a container"]],
  flags: { ...NEW_RUN_FLAGS, ...CLUSTER_FLAGS, ...PROGRAM_FLAGS, ...WALLET_FLAGS },
  async run(command) {
    const { settings, output, runtime, signal } = command;
    const wallet = await findOrMakeWallet(command, runtime, ".psyche/keys/run-owner.json");
    sayWallet(wallet, output);
    const { config, model, warnings } = await loadRunConfig(configPath(command), signal);
    warnings.forEach((warning) => output.warn(warning));
    const { rpc, wsRpc } = settings;
    const payer = wallet.keypair;
    const context = await openOperator({ rpc, wsRpc, payer, walletPath: wallet.path, signal });
    try {
      const run = await prepareRun(context, {
        ...settings,
        faucet: true,
        config: { config, model: withLocalData(model, context.endpoint.rpcUrl) },
        permissionless: !settings.permissioned,
      }, (name, work) => {
        output.say(name);
        return work();
      });
      output.result({ runId: settings.runId, ...run }, [
        `run "${settings.runId}" at ${run.coordinatorAddress} waits for members`,
      ]);
    } finally {
      await closeOperator(context);
    }
  },
});

if (import.meta.main) await runCommand(command);
