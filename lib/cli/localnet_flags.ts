/** Flags of the command that sets a localnet up. */
import { decimal, defaulted, type Flags, integer, text, toggle } from "./flag.ts";
import { CLUSTER_FLAGS, WALLET_FLAGS } from "./flag_sets.ts";

const port = { min: 0, max: 65_535, environment: [], placeholder: "<port>" };

export const LOCALNET_FLAGS = {
  runId: defaulted(
    text({ summary: "name of the run, at most 32 bytes", placeholder: "<id>", short: "r" }),
    "test",
  ),
  config: defaulted(
    text({
      summary: "configuration of the run",
      placeholder: "<file>",
      environment: ["CONFIG_FILE", "CONFIG_PATH"],
    }),
    "config/solana-test/nano-config.toml",
  ),
  rpcPort: defaulted(integer({ summary: "RPC port; 0 takes any", ...port }), "8899"),
  wsPort: integer({ summary: "websocket port (default: RPC port + 1)", ...port }),
  bindAddress: defaulted(
    text({ summary: "address to listen on", placeholder: "<ip>", environment: [] }),
    "127.0.0.1",
  ),
  clockRate: defaulted(
    decimal({ summary: "chain seconds per second", min: 0.001, max: 1000, environment: [] }),
    "1",
  ),
  permissioned: toggle({ summary: "create no join authorization", environment: [] }),
  clientVersion: defaulted(
    text({ summary: "client version that the run asks for", environment: [] }),
    "test",
  ),
  programsDirectory: defaulted(
    text({ summary: "folder with the built programs", placeholder: "<folder>" }),
    "programs",
  ),
  envFile: CLUSTER_FLAGS.envFile,
  ...WALLET_FLAGS,
} satisfies Flags;
