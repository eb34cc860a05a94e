/** Sending many signed transactions at once and waiting until the fate of each is certain. */
import type { Connection } from "@solana/web3.js";
import { PsycheError } from "../error.ts";
import type { SignedBytes } from "./confirm.ts";
import { RpcError, rpcRequest } from "./rpc.ts";
import { sleep } from "./sleep.ts";

export type Settlement =
  | { kind: "landed"; slot: number; err: unknown }
  /** The chain can never take it any more. */
  | { kind: "expired" };

export interface SettleOptions {
  onSettled?: (signed: SignedBytes, settlement: Settlement) => void;
  /** Told when a node says that a transaction can never run. What these two throw ends the waiting. */
  onRefused?: (err: unknown, logs: string[]) => void;
  /** Requests at the same time. Default 16. */
  concurrency?: number;
  signal?: AbortSignal;
}

/** Statuses of one request, as nodes limit it. */
const STATUS_BATCH = 256;
const FIRST_POLL_MILLIS = 60;
const LAST_POLL_MILLIS = 2000;
const REBROADCAST_MILLIS = 3000;
/** How long a cluster may give no answer before the outcome is called unknown. */
const MAX_OUTAGE_MILLIS = 60_000;
/** Looks after the expiry, since the node that knows heights may be ahead of the one with statuses. */
const LOOKS_AFTER_EXPIRY = 2;

/**
 * The bytes never change, so each transaction runs at most once however often this is called with it.
 * @returns the settlements in the order of `transactions`
 * @throws PsycheError TRANSACTION_UNCERTAIN when the cluster stops answering; the signal's reason
 */
export async function settleTransactions(
  connection: Connection,
  transactions: SignedBytes[],
  options: SettleOptions = {},
): Promise<Settlement[]> {
  const { signal, onSettled, concurrency = 16 } = options;
  const settled = new Map<string, Settlement>();
  const looksAfterExpiry = new Map<string, number>();
  const settle = (signed: SignedBytes, settlement: Settlement) => {
    settled.set(signed.signature, settlement);
    onSettled?.(signed, settlement);
  };
  const waiting = () => transactions.filter(({ signature }) => !settled.has(signature));

  let lastAnswer = Date.now();
  let lastSent = Number.NEGATIVE_INFINITY;
  let pause = FIRST_POLL_MILLIS;
  while (waiting().length > 0) {
    signal?.throwIfAborted();
    try {
      // Looked for before anything is sent: what an attempt that broke off has sent need not go out again.
      for (const [signed, status] of await statuses(connection, waiting(), looksAfterExpiry)) {
        if (status) settle(signed, { kind: "landed", ...status });
        else if ((looksAfterExpiry.get(signed.signature) ?? 0) >= LOOKS_AFTER_EXPIRY) {
          settle(signed, { kind: "expired" });
        }
      }
      lastAnswer = Date.now();
      if (waiting().length > 0 && Date.now() - lastSent >= REBROADCAST_MILLIS) {
        // A transaction past its height is not sent again, only looked for.
        const height = await connection.getBlockHeight();
        const alive = waiting().filter((signed) => height <= signed.lastValidBlockHeight);
        for (const { signature } of waiting().filter((signed) => !alive.includes(signed))) {
          looksAfterExpiry.set(signature, (looksAfterExpiry.get(signature) ?? 0) + 1);
        }
        await forEachBounded(
          alive,
          concurrency,
          (signed) => broadcast(connection, signed, options),
        );
        lastSent = Date.now();
      }
    } catch (error) {
      signal?.throwIfAborted();
      if (!isOutage(error)) throw error;
      if (Date.now() - lastAnswer > MAX_OUTAGE_MILLIS) throw uncertain(waiting(), error);
    }
    if (waiting().length === 0) break;
    await sleep(pause, signal);
    pause = Math.min(LAST_POLL_MILLIS, pause * 1.5);
  }
  return transactions.map(({ signature }) => settled.get(signature)!);
}

type Status = { slot: number; err: unknown };

async function statuses(
  connection: Connection,
  transactions: SignedBytes[],
  expired: Map<string, number>,
): Promise<[SignedBytes, Status | null][]> {
  const found: [SignedBytes, Status | null][] = [];
  for (let start = 0; start < transactions.length; start += STATUS_BATCH) {
    const batch = transactions.slice(start, start + STATUS_BATCH);
    const { value } = await connection.getSignatureStatuses(
      batch.map(({ signature }) => signature),
      { searchTransactionHistory: batch.some(({ signature }) => expired.has(signature)) },
    );
    batch.forEach((signed, i) => {
      const status = value[i];
      const certain = status && status.confirmationStatus !== "processed";
      found.push([signed, certain ? { slot: status.slot, err: status.err } : null]);
    });
  }
  return found;
}

/** What the node says against it shows up as a missing status, too; only a broken node is an error. */
async function broadcast(
  connection: Connection,
  { bytes }: SignedBytes,
  { signal, onRefused }: SettleOptions,
): Promise<void> {
  signal?.throwIfAborted();
  const base64 = btoa(String.fromCharCode(...bytes));
  const options = { encoding: "base64", skipPreflight: true, maxRetries: 0 };
  try {
    await rpcRequest(connection, "sendTransaction", [base64, options]);
  } catch (error) {
    // Too fast for this cluster: it goes out again with the next rebroadcast.
    if (error instanceof PsycheError && error.code === "RPC_RATE_LIMITED") return;
    if (!(error instanceof RpcError)) throw error;
    const { err, logs = [] } = (error.data ?? {}) as { err?: unknown; logs?: string[] };
    // Already there, or a node that is a little behind: both become clear with time.
    if (!err || err === "AlreadyProcessed" || err === "BlockhashNotFound") return;
    onRefused?.(err, logs);
  }
}

async function forEachBounded<T>(
  items: T[],
  concurrency: number,
  work: (item: T) => Promise<void>,
): Promise<void> {
  let next = 0;
  const worker = async () => {
    try {
      while (next < items.length) await work(items[next++]);
    } catch (error) {
      next = items.length; // the other workers stop as well
      throw error;
    }
  };
  await Promise.all(Array.from({ length: Math.min(concurrency, items.length) }, worker));
}

function isOutage(error: unknown): boolean {
  return error instanceof PsycheError &&
    (error.code === "RPC_UNREACHABLE" || error.code === "RPC_RATE_LIMITED");
}

function uncertain(waiting: SignedBytes[], cause: unknown): PsycheError {
  return new PsycheError(
    "TRANSACTION_UNCERTAIN",
    `The cluster stopped answering while ${waiting.length} transactions were under way; ` +
      `run the command again, it finds out what became of them first.`,
    { cause },
  );
}
