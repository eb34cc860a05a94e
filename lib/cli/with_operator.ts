/** Opens what an operator command needs, runs it, and closes it again. */
import { PublicKey } from "@solana/web3.js";
import type { ProgramIds } from "../chain/programs.ts";
import { PsycheError } from "../error.ts";
import { airdropUpTo } from "../operator/airdrop.ts";
import { localnetKey } from "../operator/cluster_key.ts";
import {
  closeOperator,
  openOperator,
  openReader,
  type OperatorContext,
  type ReaderContext,
} from "../operator/context.ts";
import { LAMPORTS_PER_SOL } from "../operator/lamports.ts";
import type { CommandContext } from "./command.ts";
import { flagName } from "./flag.ts";
import { findWallet, LOCALNET_WALLET_PATH } from "./find_wallet.ts";
import type { CLUSTER_FLAGS, PROGRAM_FLAGS, SEND_FLAGS, WALLET_FLAGS } from "./flag_sets.ts";
import type { Output } from "./output.ts";
import { confirmOrThrow } from "./prompt.ts";
import { sayWallet } from "./say_wallet.ts";
import { SOURCES } from "./settings.ts";

export type OperatorFlags =
  & typeof CLUSTER_FLAGS
  & typeof WALLET_FLAGS
  & typeof PROGRAM_FLAGS
  & typeof SEND_FLAGS;

/** The command as if the given settings had been typed as flags; for positional forms. */
export function withArguments<C extends CommandContext<OperatorFlags>>(
  command: C,
  given: Partial<C["settings"]>,
): C {
  const named = Object.entries(given).filter(([, value]) => value !== undefined);
  const origin = (key: string) => ({ source: "flag" as const, detail: `argument for ${key}` });
  return {
    ...command,
    settings: { ...command.settings, ...Object.fromEntries(named) },
    origins: {
      ...command.origins,
      ...Object.fromEntries(named.map(([key]) => [key, origin(flagName(key))])),
    },
  };
}

/** Says which wallet pays and from where it was taken, then hands the connected context on. */
export async function withOperator<T>(
  command: CommandContext<OperatorFlags>,
  action: (context: OperatorContext) => Promise<T>,
): Promise<T> {
  const { settings, output, signal, runtime } = command;
  const isLocal = settings.rpc.startsWith("local") || localnetKey(settings.rpc) !== null;
  const wallet = await findWallet(command, runtime, isLocal ? LOCALNET_WALLET_PATH : undefined);
  sayWallet(wallet, output);
  const context = await openOperator({
    ...clusterOptions(command),
    payer: wallet.keypair,
    walletPath: wallet.path,
    dryRun: settings.dryRun,
    priorityFeeMicroLamports: settings.priorityFee,
    signal,
  });
  try {
    output.say(`cluster ${context.cluster}`);
    if (!context.dryRun) await prepareToSpend(context, command);
    return await action(context);
  } finally {
    await closeOperator(context);
  }
}

/** SOL below which a wallet on a localnet is filled up, and up to where: a run and its programs lock 9. */
const LOCALNET_SOL = { least: 10, target: 100 };

async function prepareToSpend(context: OperatorContext, command: CommandContext<OperatorFlags>) {
  const { settings, output, signal, runtime } = command;
  if (context.cluster.startsWith("localnet")) await fund(context, output);
  // The address may have come from the Solana CLI's configuration, which the user need not remember.
  if (context.cluster === "mainnet") {
    const wallet = context.payer.publicKey.toBase58();
    const question = `This spends real SOL of ${wallet} on mainnet. Continue?`;
    await confirmOrThrow(question, { yes: settings.yes, terminal: runtime.terminal, signal });
  }
}

/** On a localnet SOL is free, so nobody should have to ask for it. */
async function fund({ connection, payer, signal }: OperatorContext, output: Output) {
  const { least, target } = LOCALNET_SOL;
  if (await connection.getBalance(payer.publicKey) >= least * LAMPORTS_PER_SOL) return;
  try {
    await airdropUpTo(connection, payer.publicKey, target * LAMPORTS_PER_SOL, signal);
    output.say(`the localnet's faucet filled the wallet up to ${target} SOL`);
  } catch (error) {
    // The balance may do all the same; if not, the checks before sending say so.
    if (error instanceof PsycheError && error.code.startsWith("AIRDROP")) {
      output.warn(error.message);
    } else throw error;
  }
}

/** Connects without a wallet, for commands that only read. */
export async function withReader<T>(
  command: CommandContext<typeof CLUSTER_FLAGS & typeof PROGRAM_FLAGS>,
  action: (context: ReaderContext) => Promise<T>,
): Promise<T> {
  const context = await openReader({ ...clusterOptions(command), signal: command.signal });
  try {
    return await action(context);
  } finally {
    await closeOperator(context);
  }
}

function clusterOptions(command: CommandContext<typeof CLUSTER_FLAGS & typeof PROGRAM_FLAGS>) {
  const { settings, output } = command;
  return {
    rpc: settings.rpc,
    wsRpc: websocketFor(command),
    fallbacks: fallbacksOf(settings),
    onFailover: ({ from, to, reason }: { from: string; to: string; reason: string }) =>
      output.warn(`${from} failed (${reason}); asking ${to}`),
    onProblem: ({ message }: PsycheError) => output.warn(message),
    programIds: {
      ...parsedId("authorizer", settings.authorizerProgramId),
      ...parsedId("coordinator", settings.coordinatorProgramId),
      ...parsedId("treasurer", settings.treasurerProgramId),
    },
  };
}

/**
 * A websocket address from a lower source belongs to another cluster than an RPC address from a
 * higher one, so it is used only when it stands at least as high.
 */
export function websocketFor(
  { settings, origins }: Pick<CommandContext<typeof CLUSTER_FLAGS>, "settings" | "origins">,
): string | undefined {
  if (!settings.wsRpc || !origins.wsRpc || !origins.rpc) return settings.wsRpc;
  const rank = ({ source }: { source: typeof SOURCES[number] }) => SOURCES.indexOf(source);
  return rank(origins.wsRpc) <= rank(origins.rpc) ? settings.wsRpc : undefined;
}

/** RPC_2 and RPC_3; their websockets follow from them when not given. commands.md section 10.1 */
function fallbacksOf(
  { rpc2, wsRpc2, rpc3, wsRpc3 }: CommandContext<typeof CLUSTER_FLAGS>["settings"],
) {
  return [{ rpcUrl: rpc2, wsUrl: wsRpc2 }, { rpcUrl: rpc3, wsUrl: wsRpc3 }]
    .flatMap(({ rpcUrl, wsUrl }) => rpcUrl === undefined ? [] : [{ rpcUrl, wsUrl }]);
}

/** @throws PsycheError ADDRESS_INVALID, exit code 2 */
export function parseAddress(text: string, what: string): PublicKey {
  try {
    return new PublicKey(text);
  } catch (error) {
    throw new PsycheError(
      "ADDRESS_INVALID",
      `${what} "${text.slice(0, 60)}" is no address; give the base58 text of 32 bytes.`,
      { cause: error, exitCode: 2 },
    );
  }
}

function parsedId<N extends keyof ProgramIds>(
  name: N,
  text: string | undefined,
): Partial<Record<N, PublicKey>> {
  if (text === undefined) return {};
  return { [name]: parseAddress(text, `--${name}-program-id`) } as Record<N, PublicKey>;
}
