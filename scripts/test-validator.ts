/** The validator of a test network: a localnet with the programs deployed, for others to make runs on. */
import { defineCommand } from "../lib/cli/command.ts";
import { decimal, defaulted, integer, text } from "../lib/cli/flag.ts";
import { WALLET_FLAGS } from "../lib/cli/flag_sets.ts";
import { findOrMakeWallet } from "../lib/cli/find_wallet.ts";
import { runCommand } from "../lib/cli/run_command.ts";
import { sayWallet } from "../lib/cli/say_wallet.ts";
import { prepareDemo } from "../lib/operator/prepare_demo.ts";
import { streamLogs } from "../lib/operator/stream_logs.ts";
import { startTestValidator } from "../lib/operator/test_validator.ts";

/** Lines that the coordinator writes at each tick; docs/protocol/docker.md section 4.3. */
const TICK_LINE = /(Pre|Post)-tick run state/;

export const command = defineCommand({
  name: "test-validator",
  summary: "Starts a localnet with the programs deployed and shows how its runs tick.",
  examples: [["deno task test-validator --bind-address 0.0.0.0", "for clients in containers"]],
  flags: {
    bindAddress: defaulted(
      text({ summary: "address to listen on", placeholder: "<ip>" }),
      "127.0.0.1",
    ),
    rpcPort: defaulted(
      integer({ summary: "RPC port; the websocket is the next one", max: 65_534 }),
      "8899",
    ),
    clockRate: defaulted(
      decimal({ summary: "chain seconds per second", min: 0.001, max: 1000 }),
      "1",
    ),
    programsDirectory: defaulted(
      text({ summary: "folder with the built programs", placeholder: "<folder>" }),
      "programs",
    ),
    ...WALLET_FLAGS,
  },
  async run(command) {
    const { settings, output, runtime, signal } = command;
    const path = ".psyche/keys/test-validator-owner.json";
    const wallet = await findOrMakeWallet(command, runtime, path);
    sayWallet(wallet, output);
    const { dataDirectory } = await prepareDemo(".psyche", { signal });
    const validator = await startTestValidator({
      ...settings,
      wallet: wallet.keypair,
      dataDirectory,
      signal,
    });
    try {
      const { rpcUrl, wsUrl, pid } = validator.localnet;
      const { programs } = validator.deployed;
      output.result({ rpcUrl, wsUrl, pid, programs }, [
        ...programs.map(({ name, programId, action }) => `${name} ${programId} (${action})`),
        `Solana test validator ready, RPC ${rpcUrl}, websocket ${wsUrl}`,
      ]);
      streamLogs(
        validator.context.connection,
        (lines) => lines.filter((line) => TICK_LINE.test(line)).forEach(output.stream),
      );
      await validator.finished();
    } finally {
      await validator.stop();
    }
  },
});

if (import.meta.main) await runCommand(command);
