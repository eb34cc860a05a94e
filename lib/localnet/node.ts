/** The parts of one running localnet, as the RPC methods see them. */
import type { Bank } from "./bank.ts";
import type { ChainClock } from "./clock.ts";
import type { Faucet } from "./faucet.ts";
import type { Ledger } from "./ledger.ts";
import type { Params } from "./params.ts";
import type { Svm } from "./svm.ts";

export interface LocalnetNode {
  svm: Svm;
  clock: ChainClock;
  ledger: Ledger;
  bank: Bank;
  faucet: Faucet;
  /** Base58: stands in for the validator's key wherever an answer needs one. */
  identity: string;
  slotMs: number;
}

/** One JSON-RPC method: checked parameters in, JSON (bigints allowed) out; throws RpcError. */
export type Method = (params: Params) => unknown;
export type Methods = Record<string, Method>;

/** Most answers say at which slot they were true. */
export function withContext<T>(node: LocalnetNode, value: T) {
  return { context: { apiVersion: SOLANA_VERSION, slot: node.clock.current.slot }, value };
}

/** The validator version whose behaviour is followed. */
export const SOLANA_VERSION = "3.1.0";
