/**
 * Sending: simulate -> compute limit -> sign once -> send the same bytes until confirmed or expired
 * -> only then sign again.
 */
import type { Connection } from "@solana/web3.js";
import bs58 from "bs58";
import { PsycheError } from "../error.ts";
import { type Outcome, sendUntilCertain } from "./confirm.ts";
import { clusterOf } from "./connection.ts";
import { transactionFailure } from "./program_error.ts";
import { computeLimitFor, simulateBuilt } from "./simulate.ts";
import { sleep } from "./sleep.ts";
import {
  buildTransaction,
  type BuiltTransaction,
  MAX_COMPUTE_UNITS,
  requiredSigners,
  type TransactionPlan,
} from "./transaction.ts";

export { type AccountChange, simulateInstructions, type Simulation } from "./simulate.ts";
export { TransactionFailedError } from "./program_error.ts";

export interface SendOptions extends TransactionPlan {
  connection: Connection;
  signal?: AbortSignal;
  /** Given: this limit, and no simulation beforehand (one round trip less). */
  computeUnitLimit?: number;
}

export interface SendResult {
  signature: string;
  slot: number;
  feeLamports: number;
  unitsConsumed: number;
  logs: string[];
}

/** How many different compute limits equal transactions get. */
const LIMITS = 4096;
let lastLimit = Math.floor(Math.random() * LIMITS);

/** How often a transaction whose blockhash expired is signed anew. */
const MAX_SIGNATURES = 3;

/**
 * Send `instructions` in one transaction and wait until it is confirmed.
 * @throws TransactionFailedError when a program refuses it: `code` is the program's error name
 * @throws PsycheError TRANSACTION_TOO_LARGE, SIGNER_MISSING, TRANSACTION_EXPIRED, TRANSACTION_UNCERTAIN, RPC_...
 */
export async function sendInstructions(options: SendOptions): Promise<SendResult> {
  const { connection, signal } = options;
  signal?.throwIfAborted();
  let limit = options.computeUnitLimit;
  for (let attempt = 1; attempt <= MAX_SIGNATURES; attempt++) {
    const { blockhash, lastValidBlockHeight } = await connection.getLatestBlockhash();
    if (limit === undefined) {
      const trial = buildTransaction(options, blockhash, MAX_COMPUTE_UNITS);
      requiredSigners(trial.transaction, options);
      const { unitsConsumed } = await simulateBuilt(connection, options, trial);
      // Equal bytes are one transaction to the chain: the same wish again, within the life of a
      // blockhash, would be taken for done.
      lastLimit = (lastLimit + 1) % LIMITS;
      limit = computeLimitFor(unitsConsumed ?? MAX_COMPUTE_UNITS) + lastLimit;
    }
    const built = buildTransaction(options, blockhash, limit);
    built.transaction.sign(requiredSigners(built.transaction, options));
    const signature = bs58.encode(built.transaction.signatures[0]);
    const bytes = built.transaction.serialize();
    const outcome = await sendUntilCertain(
      connection,
      { signature, bytes, lastValidBlockHeight },
      signal,
    );
    if (outcome.kind === "unknown") {
      throw new PsycheError(
        "TRANSACTION_UNCERTAIN",
        `${options.label} was sent to ${
          clusterOf(connection)
        }, which then stopped answering; look up transaction ${signature} before you try again.`,
        { cause: outcome.cause },
      );
    }
    if (outcome.kind !== "expired") return await settle(options, built, signature, outcome);
  }
  throw new PsycheError(
    "TRANSACTION_EXPIRED",
    `${options.label} was sent ${MAX_SIGNATURES} times to ${
      clusterOf(connection)
    } and never included; try again with a higher --priority-fee.`,
  );
}

async function settle(
  options: SendOptions,
  built: BuiltTransaction,
  signature: string,
  outcome: Extract<Outcome, { err: unknown }>,
): Promise<SendResult> {
  const details = outcome.kind === "landed"
    ? await landedDetails(options.connection, signature, options.signal)
    : undefined;
  if (outcome.err) {
    throw transactionFailure(outcome.err, {
      label: options.label,
      payer: options.payer.publicKey.toBase58(),
      instructions: built.instructions,
      logs: details?.logMessages ?? (outcome.kind === "refused" ? outcome.logs : []),
      signature: outcome.kind === "landed" ? signature : undefined,
    });
  }
  return {
    signature,
    slot: outcome.kind === "landed" ? outcome.slot : 0,
    feeLamports: details?.fee ?? 5000 * built.transaction.signatures.length,
    unitsConsumed: details?.computeUnitsConsumed ?? 0,
    logs: details?.logMessages ?? [],
  };
}

/** Fee, units and logs; a node may know them a moment later than the status. */
async function landedDetails(connection: Connection, signature: string, signal?: AbortSignal) {
  for (const pause of [0, 100, 300, 1000]) {
    if (pause > 0) await sleep(pause, signal);
    const found = await connection.getTransaction(signature, {
      commitment: "confirmed",
      maxSupportedTransactionVersion: 0,
    });
    if (found?.meta) return found.meta;
  }
}
