/** Starts a localnet with a run that waits for its members. */
import { defineCommand } from "../lib/cli/command.ts";
import { findOrMakeWallet, LOCALNET_WALLET_PATH } from "../lib/cli/find_wallet.ts";
import { configPath, LOCALNET_FLAGS } from "../lib/cli/localnet_flags.ts";
import type { Output } from "../lib/cli/output.ts";
import { createProgress } from "../lib/cli/progress.ts";
import { runCommand } from "../lib/cli/run_command.ts";
import { sayWallet } from "../lib/cli/say_wallet.ts";
import { loadRunConfig } from "../lib/operator/load_run_config.ts";
import { outsideAddress } from "../lib/operator/outside_address.ts";
import { prepareDemo } from "../lib/operator/prepare_demo.ts";
import { usesLocalData } from "../lib/operator/served_data.ts";
import { setupLocalnet } from "../lib/operator/setup_localnet.ts";
import { streamLogs } from "../lib/operator/stream_logs.ts";

export const command = defineCommand({
  name: "setup-localnet",
  summary: "Starts a local cluster, deploys the programs, creates a run and streams the logs.",
  examples: [
    ["deno task setup-localnet", "the run test on the usual ports; Ctrl+C ends it all"],
    ["deno task setup-localnet --rpc-port 9899 --clock-rate 10", "another port, faster chain time"],
    ["deno task setup-localnet my-run --treasurer", "a run with rewards"],
  ],
  flags: LOCALNET_FLAGS,
  arguments: [{ name: "RUN_ID", summary: "in place of --run-id", optional: true }],
  async run(command) {
    const { output, signal } = command;
    const [runIdArgument = command.settings.runId] = command.positional;
    const settings = { ...command.settings, runId: runIdArgument };
    const wallet = await findOrMakeWallet(command, command.runtime, LOCALNET_WALLET_PATH);
    sayWallet(wallet, output);
    const config = await loadRunConfig(configPath(command), signal);
    config.warnings.forEach((warning) => output.warn(warning));
    const { dataDirectory } = usesLocalData(config.model)
      ? await prepareData(output, signal)
      : { dataDirectory: undefined };
    const progress = createProgress(output);
    const setup = await setupLocalnet({
      ...settings,
      advertiseHost: settings.advertiseHost ??
        outsideAddress(settings.bindAddress, Deno.networkInterfaces()),
      wallet: wallet.keypair,
      walletPath: wallet.path,
      config,
      dataDirectory,
      permissionless: !settings.permissioned,
      signal,
      onEvent(event) {
        if (event.type === "progress") progress.update(event.program, event.done, event.total);
        else if (event.type === "step done") {
          output.say(`${event.step}: done in ${Math.round(event.milliseconds)} ms`);
        }
      },
    });
    try {
      const { rpcUrl, wsUrl, pid, runId, coordinatorAddress, collateralMint, timings } = setup;
      const programIds = { ...setup.programIds };
      output.say(`run "${runId}" at ${coordinatorAddress}, RPC ${rpcUrl}, websocket ${wsUrl}`);
      if (collateralMint !== null) output.say(`rewards are paid in the token ${collateralMint}`);
      const described = { rpcUrl, wsUrl, pid, runId, coordinatorAddress, collateralMint };
      output.result({ ...described, programIds, timings }, [
        "[+] Testing Solana setup ready, starting Solana logs...",
        "Streaming transaction logs. Confirmed commitment",
      ]);
      streamLogs(setup.context.connection, (lines) => lines.forEach(output.stream));
      await setup.finished();
    } finally {
      await setup.stop();
    }
  },
});

async function prepareData(output: Output, signal: AbortSignal) {
  output.say("preparing training data and model");
  return await prepareDemo(".psyche", { signal });
}

if (import.meta.main) await runCommand(command);
