/** Flags of the commands that set runs up, on a localnet and elsewhere. */
import type { CommandContext } from "./command.ts";
import { decimal, defaulted, type Flag, type Flags, integer, text, toggle } from "./flag.ts";
import { CLUSTER_FLAGS, WALLET_FLAGS } from "./flag_sets.ts";
import { MAX_LEN_FLAG } from "./max_len_flag.ts";

const port = { min: 0, max: 65_535, environment: [], placeholder: "<port>" };

const PRESETS: Record<string, string> = {
  full: "config/solana-test/config.toml",
  light: "config/solana-test/light-config.toml",
  nano: "config/solana-test/nano-config.toml",
};

const preset: Flag<string> = {
  summary: "size of the model: full (1.1B parameters), light (20M) or nano (trains on a CPU)",
  placeholder: "<size>",
  environment: [],
  fallback: "nano",
  parse(value) {
    if (Object.hasOwn(PRESETS, value)) return value;
    throw new Error(`"${value}" is not ${Object.keys(PRESETS).join(", ")}`);
  },
};

/** What kind of run; docs/protocol/commands.md section 2.1. */
export const NEW_RUN_FLAGS = {
  runId: defaulted(
    text({ summary: "name of the run, at most 32 bytes", placeholder: "<id>", short: "r" }),
    "test",
  ),
  preset,
  config: text({
    summary: "configuration of the run, in place of a preset's",
    placeholder: "<file>",
    environment: ["CONFIG_FILE", "CONFIG_PATH"],
  }),
  permissioned: toggle({ summary: "create no join authorization", environment: [] }),
  treasurer: toggle({ summary: "a run with rewards, in a test token", environment: [] }),
  clientVersion: defaulted(
    text({ summary: "client version that the run asks for", environment: [] }),
    "test",
  ),
  programsDirectory: defaulted(
    text({ summary: "folder with the built programs", placeholder: "<folder>" }),
    "programs",
  ),
  ...MAX_LEN_FLAG,
} satisfies Flags;

/** The configuration file that is meant: a preset that was typed beats a file named in a variable. */
export function configPath(
  { settings, origins }: Pick<CommandContext<typeof NEW_RUN_FLAGS>, "settings" | "origins">,
): string {
  const isTyped = (key: "config" | "preset") => origins[key]?.source === "flag";
  const { config } = settings;
  if (config !== undefined && (isTyped("config") || !isTyped("preset"))) return config;
  return PRESETS[settings.preset];
}

export const LOCALNET_FLAGS = {
  ...NEW_RUN_FLAGS,
  rpcPort: defaulted(integer({ summary: "RPC port; 0 takes any", ...port }), "8899"),
  wsPort: integer({ summary: "websocket port (default: RPC port + 1)", ...port }),
  bindAddress: defaulted(
    text({ summary: "address to listen on", placeholder: "<ip>", environment: [] }),
    "127.0.0.1",
  ),
  advertiseHost: text({
    summary: "host under which clients elsewhere reach the run's data (default with " +
      "--bind-address 0.0.0.0: this machine's address)",
    placeholder: "<host>",
    environment: [],
  }),
  clockRate: defaulted(
    decimal({ summary: "chain seconds per second", min: 0.001, max: 1000, environment: [] }),
    "1",
  ),
  envFile: CLUSTER_FLAGS.envFile,
  ...WALLET_FLAGS,
} satisfies Flags;
