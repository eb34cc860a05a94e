/**
 * Every command by name: its script, its permissions, and the short names that stand for a command with
 * some flags. The dispatcher, the documentation and the tests read this table.
 */

export interface CommandEntry {
  /** As typed after `psyche`, and the name of its task. */
  name: string;
  /** File in `scripts/` without its extension, when it is not the name. */
  script?: string;
  /** One line for the list of tasks. */
  summary: string;
  /** Flags of `deno run`. */
  permissions: string[];
  /** Arguments that come before those of the user. */
  args?: string[];
}

/** Without a prompt: what a library asks for in vain is not needed, and a question would stop scripts. */
const READ = ["--no-prompt", "--allow-net", "--allow-env", "--allow-read"];
const RECORD = [...READ, "--allow-write=.psyche,runs"];
const FILES = ["--no-prompt", "--allow-env", "--allow-read", "--allow-write"];
const MODEL = [...READ, "--allow-write", "--allow-sys"];
/** The runtime is a native library. */
const INFER = [...MODEL, "--allow-ffi=node_modules"];
/** Threads share weights with it: an ordinary array over shared memory is made by its address. */
const TRAIN = [...MODEL, "--allow-ffi"];

/** The program `docker` does the work. Quiet: machines without GPUs have no nvidia-smi to be told about. */
const DOCKER = [
  "--quiet",
  "--no-prompt",
  "--allow-env",
  "--allow-read",
  "--allow-run=docker,nvidia-smi",
];
/** Also runs other commands. */
const BUILD = ["--no-prompt", "--allow-env", "--allow-read", "--allow-run"];

const COMMANDS: CommandEntry[] = [
  {
    name: "setup-localnet",
    summary: "Local Solana net with programs and a run that waits for clients",
    permissions: [...RECORD, "--allow-run", "--allow-sys=networkInterfaces"],
  },
  {
    name: "setup-run",
    summary: "Deploy, authorize, create, configure and resume a run on any cluster",
    permissions: RECORD,
  },
  {
    name: "deploy-solana-test",
    summary: "Deploy or upgrade the programs on any cluster",
    permissions: RECORD,
  },
  {
    name: "coordinator-address-check",
    summary: "Show the program addresses in use and ask whether they are right",
    permissions: READ,
  },
  {
    name: "verify-program",
    summary: "Compare programs on a cluster with the program files",
    permissions: READ,
  },
  { name: "close-programs", summary: "Close deployed programs for good", permissions: READ },
  {
    name: "fund_accounts",
    summary: "Make and fund the wallets of many clients",
    permissions: [...READ, "--allow-write=devnet_funded_accounts,.psyche"],
  },
  {
    name: "join-authorization-create",
    summary: "Authorize one wallet, or everybody, to join runs",
    permissions: READ,
  },
  {
    name: "join-authorization-delegate",
    summary: "Let keys join in the name of a grantee",
    permissions: READ,
  },
  {
    name: "join-authorization-set-delegates",
    summary: "Replace the keys that may join in the name of a grantee",
    permissions: READ,
  },
  {
    name: "join-authorization-delete",
    summary: "Switch a join authorization off",
    permissions: READ,
  },
  { name: "join-authorization-read", summary: "Show a join authorization", permissions: READ },
  { name: "can-join", summary: "Say whether a wallet may join a run", permissions: READ },
  { name: "create-run", summary: "Create a run", permissions: RECORD },
  {
    name: "update-config",
    summary: "Configure a run from a TOML file",
    permissions: READ,
  },
  { name: "validate-config", summary: "Check a run configuration file", permissions: READ },
  { name: "set-paused", summary: "Pause or resume a run", permissions: READ },
  {
    name: "set-future-epoch-rates",
    summary: "Set what clients earn and lose in later epochs",
    permissions: READ,
  },
  { name: "tick", summary: "Send ticks to a run", permissions: READ },
  { name: "checkpoint", summary: "Record where a run's weights are", permissions: READ },
  { name: "close-run", summary: "Close a halted run for good", permissions: RECORD },
  {
    name: "create-test-token",
    summary: "Make a token for test runs with rewards",
    permissions: READ,
  },
  {
    name: "treasurer-top-up-rewards",
    summary: "Pay collateral into a run's treasurer",
    permissions: READ,
  },
  {
    name: "treasurer-claim-rewards",
    summary: "Claim what a wallet earned in a run",
    permissions: READ,
  },
  {
    name: "doctor",
    summary: "Examine this machine, the cluster, the wallet and the run",
    permissions: [...READ, "--allow-sys", "--allow-run"],
  },
  { name: "list-runs", summary: "List the runs of a cluster", permissions: READ },
  { name: "json-info-dump", summary: "Show a run as JSON", permissions: READ },
  { name: "json-dump-user", summary: "Show a wallet's part in a run as JSON", permissions: READ },
  { name: "train", summary: "Join a run and train", permissions: TRAIN },
  {
    name: "data-server",
    summary: "Serve a run's training data to its clients",
    permissions: READ,
  },
  {
    name: "predownload",
    summary: "Download a run's model before joining it",
    permissions: [...FILES, "--allow-net"],
  },
  {
    name: "init-model",
    summary: "Make a model with fresh weights",
    permissions: [...FILES, "--allow-sys=systemMemoryInfo"],
  },
  { name: "tokenize", summary: "Turn text into token files", permissions: FILES },
  { name: "generate", summary: "Let a model continue a text", permissions: INFER },
  { name: "eval", summary: "Score a model on multiple-choice tasks", permissions: INFER },
  {
    name: "show-static-p2p-identity",
    summary: "Show a peer-to-peer key",
    permissions: ["--no-prompt", "--allow-env", "--allow-read"],
  },
  {
    name: "create-static-p2p-identity",
    summary: "Make a peer-to-peer key",
    permissions: ["--no-prompt", "--allow-env", "--allow-read", "--allow-write"],
  },
  {
    name: "setup_test_infra",
    summary: "Build and start a test network in containers",
    permissions: DOCKER,
  },
  {
    name: "run_test_infra",
    summary: "Start a test network in containers",
    permissions: DOCKER,
  },
  { name: "stop_test_infra", summary: "End the test network in containers", permissions: DOCKER },
  {
    name: "setup_clients",
    summary: "Build and start test clients in containers",
    permissions: BUILD,
  },
  {
    name: "build_docker_psyche_client",
    summary: "Build the image of production clients",
    permissions: BUILD,
  },
  {
    name: "build_docker_test_client",
    summary: "Build the image of test clients",
    permissions: BUILD,
  },
  {
    name: "psyche_client_create_run",
    summary: "Create, configure and resume a run from containers",
    permissions: DOCKER,
  },
  {
    name: "psyche_client_train",
    summary: "Train with a container in the foreground",
    permissions: DOCKER,
  },
  {
    name: "train-multiple-gpu-localnet",
    summary: "Start several test clients in containers",
    permissions: DOCKER,
  },
  {
    name: "train-multiple-gpu-devnet",
    summary: "Start several funded clients in containers",
    permissions: DOCKER,
  },
  {
    name: "test-validator",
    summary: "Local Solana net with programs and no run",
    permissions: [...RECORD, "--allow-run"],
  },
  {
    name: "run-owner",
    summary: "Bring a run to life on a test validator, with a wallet of its own",
    permissions: RECORD,
  },
];

/** Short names of the original tasks: which command, and with which flags before the user's own. */
const SHORT_NAMES: [name: string, command: string, ...args: string[]][] = [
  ["json-dump-run", "json-info-dump"],
  ["close-dev-programs", "close-programs", "--rpc", "devnet"],
  ...presets("setup-solana-localnet", "setup-localnet"),
  ...presets("setup-solana-devnet", "setup-run", "--rpc", "devnet"),
  ["start-training-localnet-client", "train", "--rpc", "localnet"],
  ["start-training-localnet-light-client", "train", "--rpc", "localnet", "--micro-batch-size", "1"],
  ["start-training-devnet-client", "train", "--rpc", "devnet"],
  ["start-training-devnet-light-client", "train", "--rpc", "devnet", "--micro-batch-size", "1"],
];

/** `<prefix>[-permissioned][-light]-test-run[-treasurer]`. */
function presets(prefix: string, command: string, ...args: string[]): typeof SHORT_NAMES {
  const forms: typeof SHORT_NAMES = [];
  for (const permissioned of ["", "-permissioned"]) {
    for (const light of ["", "-light"]) {
      for (const treasurer of ["", "-treasurer"]) {
        forms.push([
          `${prefix}${permissioned}${light}-test-run${treasurer}`,
          command,
          ...args,
          ...["--preset", light === "" ? "full" : "light"],
          ...(permissioned === "" ? [] : ["--permissioned"]),
          ...(treasurer === "" ? [] : ["--treasurer"]),
        ]);
      }
    }
  }
  return forms;
}

/** All commands, the short names last. */
export const COMMAND_TABLE: readonly CommandEntry[] = [
  ...COMMANDS,
  ...SHORT_NAMES.map(([name, target, ...args]): CommandEntry => {
    const entry = COMMANDS.find((it) => it.name === target)!;
    return { ...entry, name, script: scriptOf(entry), args, summary: [target, ...args].join(" ") };
  }),
];

export function scriptOf({ name, script }: CommandEntry): string {
  return script ?? name;
}
