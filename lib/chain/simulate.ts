/** Trying a transaction without sending it. */
import {
  type Connection,
  LAMPORTS_PER_SOL,
  type SimulatedTransactionResponse,
} from "@solana/web3.js";
import { transactionFailure } from "./program_error.ts";
import {
  buildTransaction,
  type BuiltTransaction,
  MAX_COMPUTE_UNITS,
  type TransactionPlan,
  writableKeys,
} from "./transaction.ts";

export interface AccountChange {
  address: string;
  lamportsBefore: number;
  lamportsAfter: number;
  /** 0 bytes before means that the account is created. */
  bytesBefore: number;
  bytesAfter: number;
  /** For people, for example "9xQe...: 2.5 -> 1.66 SOL (-0.83)". */
  words: string;
}

export interface Simulation {
  unitsConsumed: number;
  feeLamports: number;
  logs: string[];
  /** Writable accounts whose balance or size changes. */
  changes: AccountChange[];
}

/**
 * What sending these instructions now would do (for `--dry-run`). Nothing is signed or sent.
 * @throws TransactionFailedError as sending would
 */
export async function simulateInstructions(
  plan: TransactionPlan & { connection: Connection; signal?: AbortSignal },
): Promise<Simulation> {
  const { connection, signal } = plan;
  signal?.throwIfAborted();
  const { blockhash } = await connection.getLatestBlockhash();
  const built = buildTransaction(plan, blockhash, MAX_COMPUTE_UNITS);
  const keys = writableKeys(built.transaction);
  const before = await connection.getMultipleAccountsInfo(keys);
  const result = await simulateBuilt(connection, plan, built, keys.map((key) => key.toBase58()));
  signal?.throwIfAborted();
  const unitsConsumed = result.unitsConsumed ?? 0;
  // The real transaction carries a lower limit, and the priority fee is paid for the limit.
  const real = buildTransaction(plan, blockhash, computeLimitFor(unitsConsumed));
  const fee = await connection.getFeeForMessage(real.transaction.message);
  const changes = keys.map((key, i) => {
    const after = result.accounts?.[i] ?? null;
    return accountChange(
      key.toBase58(),
      { lamports: before[i]?.lamports ?? 0, bytes: before[i]?.data.length ?? 0 },
      { lamports: after?.lamports ?? 0, bytes: base64Bytes(after?.data[0] ?? "") },
    );
  });
  return {
    unitsConsumed,
    feeLamports: fee.value ?? 5000 * real.transaction.signatures.length,
    logs: result.logs ?? [],
    changes: changes.filter((change) =>
      change.lamportsBefore !== change.lamportsAfter || change.bytesBefore !== change.bytesAfter
    ),
  };
}

/** Simulate a built transaction, signatures not checked. @throws TransactionFailedError */
export async function simulateBuilt(
  connection: Connection,
  plan: TransactionPlan,
  built: BuiltTransaction,
  addresses: string[] = [],
): Promise<SimulatedTransactionResponse> {
  const { value } = await connection.simulateTransaction(built.transaction, {
    sigVerify: false,
    replaceRecentBlockhash: true,
    commitment: "confirmed",
    ...(addresses.length ? { accounts: { encoding: "base64", addresses } } : {}),
  });
  if (value.err) {
    throw transactionFailure(value.err, {
      label: plan.label,
      payer: plan.payer.publicKey.toBase58(),
      instructions: built.instructions,
      logs: value.logs ?? [],
    });
  }
  return value;
}

/**
 * Compute limit for what a simulation consumed. Generous, because the run's state may move between
 * simulation and execution, and the step into a new state costs more than the one simulated.
 */
export function computeLimitFor(unitsConsumed: number): number {
  return Math.min(MAX_COMPUTE_UNITS, Math.ceil(unitsConsumed * 1.5) + 50_000);
}

interface Snapshot {
  lamports: number;
  bytes: number;
}

function accountChange(address: string, before: Snapshot, after: Snapshot): AccountChange {
  const sol = (lamports: number) => String(lamports / LAMPORTS_PER_SOL);
  const difference = after.lamports - before.lamports;
  const parts = [
    `${sol(before.lamports)} -> ${sol(after.lamports)} SOL (${difference > 0 ? "+" : ""}${
      sol(difference)
    })`,
  ];
  if (before.lamports === 0 && after.lamports > 0) parts.push(`created, ${after.bytes} bytes`);
  else if (before.lamports > 0 && after.lamports === 0) parts.push("closed");
  else if (before.bytes !== after.bytes) parts.push(`${before.bytes} -> ${after.bytes} bytes`);
  return {
    address,
    lamportsBefore: before.lamports,
    lamportsAfter: after.lamports,
    bytesBefore: before.bytes,
    bytesAfter: after.bytes,
    words: `${address}: ${parts.join(", ")}`,
  };
}

function base64Bytes(text: string): number {
  const padding = text.endsWith("==") ? 2 : text.endsWith("=") ? 1 : 0;
  return text.length / 4 * 3 - padding;
}
