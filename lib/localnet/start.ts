/**
 * The embedded Solana localnet: one validator's RPC and pubsub over LiteSVM, in this process.
 *
 * Give it a process of its own (spawn.ts): a panic of the native part ends the whole process.
 */
import { PsycheError } from "../error.ts";
import { Bank } from "./bank.ts";
import { toBase58 } from "./base58.ts";
import { ChainClock } from "./clock.ts";
import { Faucet } from "./faucet.ts";
import { DEFAULT_LEDGER_LIMITS, Ledger, type LedgerLimits } from "./ledger.ts";
import type { LocalnetNode, Method } from "./node.ts";
import { addGenesisProgram, type GenesisProgram } from "./programs.ts";
import { PubSub } from "./pubsub.ts";
import { allMethods, dispatch, lookup } from "./rpc.ts";
import { startServer } from "./server.ts";
import type { ServedFolders } from "./static_files.ts";
import { type AccountState, Svm } from "./svm.ts";

export interface LocalnetOptions {
  /** Default 127.0.0.1. */
  bindAddress?: string;
  /** Default 8899; 0 = any free pair. */
  rpcPort?: number;
  /** Default: the RPC port + 1; 0 = any. */
  wsPort?: number;
  /** Chain seconds a wall second, 0.001 to 1000. Default 1. */
  clockRate?: number;
  /** Milliseconds a slot, 10 to 60,000. Default 400. */
  slotMs?: number;
  programs?: GenesisProgram[];
  accounts?: { key: Uint8Array; account: AccountState }[];
  folders?: ServedFolders;
  ledger?: LedgerLimits;
}

export interface Localnet {
  rpcUrl: string;
  wsUrl: string;
  genesisHash: string;
  node: LocalnetNode;
  /** Answers one JSON-RPC body without the network. */
  call(body: string): string | undefined;
  close(): Promise<void>;
}

/** A localnet without ticking and without the network: for tests and for {@linkcode startLocalnet}. */
export interface LocalnetCore {
  node: LocalnetNode;
  pubsub: PubSub;
  find: (name: string) => Method | undefined;
}

/** Builds the chain. @throws PsycheError `LOCALNET_OPTION_INVALID`, and of programs.ts */
export function createLocalnet(options: LocalnetOptions = {}): LocalnetCore {
  const rate = bounded("clock rate", options.clockRate ?? 1, 0.001, 1000);
  const slotMs = bounded("slot length in milliseconds", options.slotMs ?? 400, 10, 60_000);
  const svm = new Svm();
  for (const program of options.programs ?? []) addGenesisProgram(svm, program);
  for (const { key, account } of options.accounts ?? []) svm.setAccount(key, account);
  const [wall, steady] = [Date.now(), performance.now()];
  // The steady clock: setting the machine's clock back must not set the chain back.
  const clock = new ChainClock(svm, { rate, now: () => wall + performance.now() - steady });
  const ledger = new Ledger(options.ledger ?? DEFAULT_LEDGER_LIMITS);
  const bank = new Bank(svm, clock, ledger, {
    executed: (record, resolved) => pubsub.executed(record, resolved),
    slot: () => pubsub.slot(),
  });
  const faucet = new Faucet(svm, bank);
  const identity = toBase58(crypto.getRandomValues(new Uint8Array(32)));
  const node: LocalnetNode = { svm, clock, ledger, bank, faucet, identity, slotMs };
  const pubsub = new PubSub(node);
  return { node, pubsub, find: lookup(allMethods(node)) };
}

/**
 * Starts a localnet that answers on two ports.
 *
 * @throws PsycheError `LOCALNET_OPTION_INVALID`, `PORT_TAKEN`, `BIND_FAILED`, and of programs.ts
 */
export async function startLocalnet(options: LocalnetOptions = {}): Promise<Localnet> {
  const { node, pubsub, find } = createLocalnet(options);
  const hostname = options.bindAddress ?? "127.0.0.1";
  const server = await startServer(find, pubsub, {
    hostname,
    rpcPort: options.rpcPort ?? 8899,
    wsPort: options.wsPort,
    folders: options.folders ?? new Map(),
  });
  const timer = setInterval(() => node.bank.advanceSlot(true), node.slotMs);
  const host = hostname === "0.0.0.0" || hostname === "::"
    ? "127.0.0.1"
    : hostname.includes(":")
    ? `[${hostname}]`
    : hostname;
  return {
    rpcUrl: `http://${host}:${server.rpcPort}`,
    wsUrl: `ws://${host}:${server.wsPort}`,
    genesisHash: node.clock.genesisHash,
    node,
    call: (body) => dispatch(find, body),
    async close() {
      clearInterval(timer);
      await server.close();
    },
  };
}

function bounded(what: string, value: number, least: number, most: number): number {
  if (value >= least && value <= most) return value;
  throw new PsycheError(
    "LOCALNET_OPTION_INVALID",
    `The ${what} ${value} cannot be used; give a number from ${least} to ${most}.`,
    { exitCode: 2 },
  );
}
