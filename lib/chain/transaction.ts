/** Building transactions: compute budget, size, signatures. */
import {
  type Blockhash,
  ComputeBudgetProgram,
  type Keypair,
  type MessageV0,
  PublicKey,
  type TransactionInstruction,
  TransactionMessage,
  VersionedTransaction,
} from "@solana/web3.js";
import { PsycheError } from "../error.ts";

/** Largest serialized transaction, signatures included. */
export const MAX_TRANSACTION_BYTES = 1232;

/** Most compute units of one transaction. */
export const MAX_COMPUTE_UNITS = 1_400_000;

export interface TransactionPlan {
  payer: Keypair;
  instructions: TransactionInstruction[];
  signers?: Keypair[];
  label: string;
  /** Micro-lamports for each compute unit of the limit. */
  priorityFeeMicroLamports?: number;
}

export interface BuiltTransaction {
  transaction: VersionedTransaction;
  /** All of them, those of the compute budget included: errors count from these. */
  instructions: TransactionInstruction[];
}

/**
 * Compile with a compute limit and optional price in front; unsigned.
 *
 * The limit is a courtesy and is left out where it would make the transaction too large.
 * @throws PsycheError TRANSACTION_TOO_LARGE, INSTRUCTIONS_EMPTY
 */
export function buildTransaction(
  plan: TransactionPlan,
  blockhash: Blockhash,
  computeUnitLimit: number,
): BuiltTransaction {
  const { instructions, priorityFeeMicroLamports: price = 0 } = plan;
  if (instructions.length === 0) {
    throw new PsycheError(
      "INSTRUCTIONS_EMPTY",
      `${plan.label} has no instructions; there is nothing to send.`,
    );
  }
  const units = Math.min(MAX_COMPUTE_UNITS, Math.ceil(computeUnitLimit));
  const budget = [ComputeBudgetProgram.setComputeUnitLimit({ units })];
  if (price > 0) budget.push(ComputeBudgetProgram.setComputeUnitPrice({ microLamports: price }));
  const full = compile(plan, [...budget, ...instructions], blockhash);
  if (full) return full;
  const bare = price > 0 ? undefined : compile(plan, instructions, blockhash);
  if (bare) return bare;
  throw new PsycheError(
    "TRANSACTION_TOO_LARGE",
    `${plan.label} does not fit into one transaction of ${MAX_TRANSACTION_BYTES} bytes; split it, for example metadata apart from the rest.`,
  );
}

/** The keys that must sign, in order. @throws PsycheError SIGNER_MISSING */
export function requiredSigners(
  { message }: VersionedTransaction,
  plan: TransactionPlan,
): Keypair[] {
  const keypairs = [plan.payer, ...(plan.signers ?? [])];
  return message.staticAccountKeys.slice(0, message.header.numRequiredSignatures).map((key) => {
    const keypair = keypairs.find(({ publicKey }) => publicKey.equals(key));
    if (keypair) return keypair;
    throw new PsycheError(
      "SIGNER_MISSING",
      `${plan.label} must be signed by ${key.toBase58()}, whose key was not given; use the wallet with that address.`,
    );
  });
}

/** Addresses that the transaction may change, the payer first. */
export function writableKeys(transaction: VersionedTransaction): PublicKey[] {
  const message = transaction.message as MessageV0;
  return message.staticAccountKeys.filter((_, i) => message.isAccountWritable(i));
}

function compile(
  plan: TransactionPlan,
  instructions: TransactionInstruction[],
  blockhash: Blockhash,
): BuiltTransaction | undefined {
  const message = new TransactionMessage({
    payerKey: plan.payer.publicKey,
    recentBlockhash: blockhash,
    instructions,
  }).compileToLegacyMessage();
  const transaction = new VersionedTransaction(message);
  const signatures = message.header.numRequiredSignatures;
  let size: number;
  try {
    size = message.serialize().length + 1 + 64 * signatures;
  } catch {
    return undefined; // web3.js runs out of its fixed buffer
  }
  return size <= MAX_TRANSACTION_BYTES ? { transaction, instructions } : undefined;
}
