/** What `train` takes, apart from the engine behind it; docs/protocol/commands.md section 10.1. */
import { CHECKPOINT_FLAGS, checkpointProblems } from "./checkpoint_flags.ts";
import type { CommandDefinition } from "./command.ts";
import {
  decimal,
  defaulted,
  type Flag,
  type Flags,
  integer,
  text,
  toggle,
  type Values,
} from "./flag.ts";
import { MAX_DATA_PARALLELISM, parseDeviceList } from "../trainer/runtime/device_text.ts";
import { findTasks } from "../trainer/eval/eval_tasks.ts";
import type { DeviceChoice } from "../trainer/trainer.ts";
import { CLUSTER_FLAGS, PROGRAM_FLAGS, RUN_ID_FLAG } from "./flag_sets.ts";

/** Form of the event stream on stdout. */
export type Logs = "console" | "json" | "none";

const logs: Flag<Logs> = {
  summary: "events on stdout: console, json (one object a line) or none",
  placeholder: "<form>",
  fallback: "console",
  parse(value) {
    const form = value.toLowerCase();
    if (form === "console" || form === "json" || form === "none") return form;
    throw new Error(`"${value}" is not console, json or none`);
  },
};

const device: Flag<DeviceChoice[]> = {
  summary: "where the model is computed: auto, cpu, cuda, cuda:N, webgpu, or a list like " +
    "cuda:0,cuda:1; auto takes cuda where it works",
  placeholder: "<device>",
  environment: [],
  fallback: "auto",
  parse: parseDeviceList,
};

const evalTasks: Flag<string[] | undefined> = {
  summary: "evaluation tasks to run while there is nothing to train, comma separated",
  placeholder: "<names>",
  parse: (list) => findTasks(list).map(({ name }) => name),
};

export const TRAIN_FLAGS = {
  ...RUN_ID_FLAG,
  ...CLUSTER_FLAGS,
  ...PROGRAM_FLAGS,
  // Unlike the owner's commands, never taken from the run record: that wallet is the owner's.
  walletPrivateKeyPath: text({
    summary: "keypair file of this client; on a localnet a fresh one is made when absent",
    placeholder: "<file>",
    short: "w",
    environment: ["WALLET_PRIVATE_KEY_PATH", "WALLET_FILE", "WALLET_PATH"],
  }),
  rawWalletPrivateKey: text({
    summary: "the key itself",
    environment: ["RAW_WALLET_PRIVATE_KEY"],
    environmentOnly: true,
    secret: true,
  }),
  keyDirectory: text({
    summary: "where a fresh key file goes (.psyche/keys/<cluster> when absent)",
    placeholder: "<dir>",
  }),
  authorizer: text({
    summary: "grantee of the authorization to join with",
    placeholder: "<address>",
  }),
  clientVersion: text({ summary: "version to compare with the run's", placeholder: "<version>" }),
  identitySecretKeyPath: text({
    summary: "32-byte file with the peer-to-peer key; derived from wallet and run when absent",
    placeholder: "<file>",
    short: "i",
  }),
  bindP2pHost: defaulted(
    text({ summary: "address to accept peers on", placeholder: "<ip>" }),
    "0.0.0.0",
  ),
  bindP2pPort: defaulted(
    integer({ summary: "port to accept peers on, 0 = any", max: 65_535 }),
    "0",
  ),
  peers: text({
    summary: "peers to begin with, comma separated",
    placeholder: "<hexkey@host:port,...>",
    environment: ["P2P_PEERS"],
  }),
  addressBook: text({
    summary: "folder through which clients of one machine find each other",
    placeholder: "<dir>",
  }),
  mdns: toggle({
    summary: "find peers on the local network by multicast",
    environment: ["P2P_MDNS"],
  }),
  microBatchSize: defaulted(
    integer({ summary: "sequences in one forward and backward pass", min: 1, max: 4096 }),
    "8",
  ),
  threads: integer({ summary: "threads of this client; all cores when absent", min: 1, max: 256 }),
  device,
  dataParallelism: integer({
    summary:
      "ranks that share each batch of this client, and its threads; one a device when absent",
    min: 1,
    max: MAX_DATA_PARALLELISM,
  }),
  evalTasks,
  evalTaskMaxDocs: integer({ summary: "documents of each task, from the beginning (all)", min: 1 }),
  evalSeed: defaulted(integer({ summary: "seed that chooses solved examples" }), "42"),
  evalData: text({
    summary: "directory with a directory of data for each task; otherwise the Hub's",
    placeholder: "<dir>",
  }),
  promptTask: toggle({ summary: "also let the model in training write texts" }),
  ...CHECKPOINT_FLAGS,
  logs,
  writeLog: text({ summary: "append the events as JSON lines to a file", placeholder: "<file>" }),
  faucet: toggle({ summary: "make a wallet when none is given and fill it, as on a localnet" }),
  airdropSol: defaulted(
    decimal({
      summary: "on a localnet or with --faucet, fill the wallet up to this many SOL",
      max: 1000,
    }),
    "10",
  ),
  priorityFee: integer({
    summary: "extra fee in micro-lamports per compute unit",
    placeholder: "<micro-lamports>",
  }),
} satisfies Flags;

/** Its definition without its work: reading it must not load the engine. */
export const TRAIN_COMMAND = {
  name: "train",
  summary: "Joins a run and trains until it is finished. Ctrl+C leaves it.",
  examples: [
    ["deno task train --run-id test", "train in a run of the localnet, with a fresh wallet"],
    [
      "deno task train --rpc devnet --run-id test -w ~/.config/solana/id.json",
      "train in a run on devnet",
    ],
    ["deno task train --run-id test --logs json --checkpoint-dir out", "for programs"],
  ] satisfies CommandDefinition<typeof TRAIN_FLAGS>["examples"],
  flags: TRAIN_FLAGS,
  check: (values: Values<typeof TRAIN_FLAGS>) => [
    ...checkpointProblems(values),
    ...rankProblems(values),
  ],
};

/** Said before a wallet is made for nothing. */
function rankProblems(
  { device, dataParallelism }: Pick<Values<typeof TRAIN_FLAGS>, "device" | "dataParallelism">,
): string[] {
  if (dataParallelism === undefined || device.length <= dataParallelism) return [];
  return [
    `--data-parallelism: ${dataParallelism} is less than the ${device.length} devices of --device`,
  ];
}
