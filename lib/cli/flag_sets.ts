/** Flags that many commands share; commands.md sections 0.2-0.4. */
import { defaulted, type Flags, integer, required, text, toggle, u64 } from "./flag.ts";

const LOCALNET_RPC = "http://127.0.0.1:8899";

/** Which cluster. `rpc` takes a URL or localnet, devnet, testnet, mainnet. */
export const CLUSTER_FLAGS = {
  rpc: defaulted(
    text({
      summary: "RPC address of the cluster: URL, localnet, devnet, testnet or mainnet",
      placeholder: "<url>",
      fromRunRecord: (record) => record.rpcUrl,
      fromSolanaConfig: (config) => config.jsonRpcUrl,
    }),
    LOCALNET_RPC,
  ),
  wsRpc: text({
    summary: "websocket address; derived from --rpc when absent",
    placeholder: "<url>",
    fromRunRecord: (record) => record.wsUrl,
    fromSolanaConfig: (config) => config.websocketUrl,
  }),
  rpc2: text({ summary: "RPC address to fall back to, of the same cluster", placeholder: "<url>" }),
  wsRpc2: text({ summary: "its websocket address", placeholder: "<url>" }),
  rpc3: text({ summary: "RPC address to fall back to after that", placeholder: "<url>" }),
  wsRpc3: text({ summary: "its websocket address", placeholder: "<url>" }),
  envFile: text({
    summary: "file with further settings (config/client/.env when it exists)",
    placeholder: "<file>",
    environment: [],
  }),
} satisfies Flags;

/** Program ids other than the declared ones. */
export const PROGRAM_FLAGS = {
  authorizerProgramId: text({
    summary: "authorizer program",
    placeholder: "<address>",
    fromRunRecord: (record) => record.programIds.authorizer,
  }),
  coordinatorProgramId: text({
    summary: "coordinator program",
    placeholder: "<address>",
    fromRunRecord: (record) => record.programIds.coordinator,
  }),
  treasurerProgramId: text({
    summary: "treasurer program",
    placeholder: "<address>",
    fromRunRecord: (record) => record.programIds.treasurer,
  }),
} satisfies Flags;

/** Whose key signs and pays; resolved by `findWallet`. */
export const WALLET_FLAGS = {
  walletPrivateKeyPath: text({
    summary: "keypair file of the signer, as the Solana CLI writes it",
    placeholder: "<file>",
    short: "w",
    environment: ["WALLET_PRIVATE_KEY_PATH", "WALLET_FILE", "WALLET_PATH", "KEY_FILE"],
    fromRunRecord: (record) => record.walletPath,
    fromSolanaConfig: (config) => config.keypairPath,
  }),
  rawWalletPrivateKey: text({
    summary: "the key itself",
    environment: ["RAW_WALLET_PRIVATE_KEY"],
    environmentOnly: true,
    secret: true,
  }),
} satisfies Flags;

/** How transactions are sent. */
export const SEND_FLAGS = {
  yes: toggle({ summary: "answer yes to every question", environment: [] }),
  dryRun: toggle({ summary: "simulate and show cost and effect; send nothing" }),
  priorityFee: integer({
    summary: "extra fee in micro-lamports per compute unit",
    placeholder: "<micro-lamports>",
  }),
} satisfies Flags;

export const RUN_ID_FLAG = {
  runId: required(
    text({ summary: "name of the run, at most 32 bytes", placeholder: "<id>", short: "r" }),
  ),
} satisfies Flags;

/** Which treasurer, for runs with rewards; commands.md section 0.5. */
export const TREASURER_FLAG = {
  treasurerIndex: u64({
    summary: "index of the run's treasurer; derived from the run id when absent",
    fromRunRecord: (record) => record.treasurerIndex,
  }),
} satisfies Flags;

/** Everything that a command which changes a run needs. */
export const OPERATOR_FLAGS = {
  ...RUN_ID_FLAG,
  ...TREASURER_FLAG,
  ...CLUSTER_FLAGS,
  ...WALLET_FLAGS,
  ...PROGRAM_FLAGS,
  ...SEND_FLAGS,
} satisfies Flags;
