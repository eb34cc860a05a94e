/** Waiting for one signed transaction while sending the same bytes again and again. */
import type { Commitment, Connection } from "@solana/web3.js";
import { PsycheError } from "../error.ts";
import { RpcError, rpcRequest } from "./rpc.ts";
import { sleep } from "./sleep.ts";

export interface SignedBytes {
  signature: string;
  bytes: Uint8Array;
  /** Block height after which the chain cannot take it any more. */
  lastValidBlockHeight: number;
}

export type Outcome =
  | { kind: "landed"; slot: number; err: unknown }
  /** The node refused it before it could run. */
  | { kind: "refused"; err: unknown; logs: string[] }
  | { kind: "expired" }
  /** The cluster stopped answering; the transaction may have run or not. */
  | { kind: "unknown"; cause: unknown };

const COMMITMENT: Commitment = "confirmed";
const REBROADCAST_MILLIS = 2000;
const FIRST_POLL_MILLIS = 100;
const LAST_POLL_MILLIS = 1000;
/** How long a cluster may give no answer before the outcome is called unknown. */
const MAX_OUTAGE_MILLIS = 60_000;

/**
 * Send until the outcome is certain. Because the bytes never change, the transaction runs at most once.
 * A subscription wakes the poll early; the poll alone would do.
 */
export async function sendUntilCertain(
  connection: Connection,
  signed: SignedBytes,
  signal?: AbortSignal,
): Promise<Outcome> {
  let wake = () => {};
  let notified = false;
  let askAtOnce = false;
  const subscription = connection.onSignature(signed.signature, () => {
    notified = askAtOnce = true; // web3.js has dropped the subscription by itself
    wake();
  }, COMMITMENT);
  const pause = async (millis: number) => {
    if (!askAtOnce) {
      const woken = new AbortController();
      wake = () => woken.abort();
      const signals = [woken.signal, ...(signal ? [signal] : [])];
      await sleep(millis, AbortSignal.any(signals)).catch(() => {});
    }
    askAtOnce = false;
    signal?.throwIfAborted();
  };

  let lastSent = 0;
  let lastAnswer = Date.now();
  let expiredPolls = 0;
  /** One look at the chain, and one more broadcast when it is time. */
  const step = async (): Promise<Outcome | undefined> => {
    if (lastSent > 0) {
      const landed = await statusOf(connection, signed.signature, expiredPolls > 0);
      if (landed) return landed;
      if (Date.now() - lastSent < REBROADCAST_MILLIS) return undefined;
      if (await connection.getBlockHeight(COMMITMENT) > signed.lastValidBlockHeight) {
        lastSent = Date.now();
        // Twice, since the node that answers about heights may be ahead of the one about statuses.
        return ++expiredPolls > 1 ? { kind: "expired" } : undefined;
      }
    }
    lastSent = Date.now();
    return await broadcast(connection, signed);
  };

  try {
    for (let millis = FIRST_POLL_MILLIS;; millis = Math.min(LAST_POLL_MILLIS, millis * 1.5)) {
      try {
        const outcome = await step();
        if (outcome) return outcome;
        lastAnswer = Date.now();
      } catch (error) {
        signal?.throwIfAborted();
        if (!isOutage(error)) throw error;
        // The request may have arrived all the same, so the way back is to keep asking.
        if (Date.now() - lastAnswer > MAX_OUTAGE_MILLIS) return { kind: "unknown", cause: error };
      }
      await pause(millis);
    }
  } finally {
    if (!notified) connection.removeSignatureListener(subscription).catch(() => {});
  }
}

function isOutage(error: unknown): boolean {
  return error instanceof PsycheError &&
    (error.code === "RPC_UNREACHABLE" || error.code === "RPC_RATE_LIMITED");
}

async function statusOf(
  connection: Connection,
  signature: string,
  searchTransactionHistory: boolean,
): Promise<Outcome | undefined> {
  const { value: [status] } = await connection.getSignatureStatuses([signature], {
    searchTransactionHistory,
  });
  if (!status || status.confirmationStatus === "processed") return undefined;
  return { kind: "landed", slot: status.slot, err: status.err };
}

/** Send once; an outcome only when the node says that the transaction can never run. */
async function broadcast(
  connection: Connection,
  signed: SignedBytes,
): Promise<Outcome | undefined> {
  const base64 = btoa(String.fromCharCode(...signed.bytes));
  const options = { encoding: "base64", skipPreflight: true, maxRetries: 0 };
  try {
    await rpcRequest(connection, "sendTransaction", [base64, options]);
  } catch (error) {
    if (!(error instanceof RpcError)) throw error;
    const data = error.data as { err?: unknown; logs?: string[] } | undefined;
    const err = data?.err;
    // Already there, or a node that is a little behind: both become clear with time.
    if (err === "AlreadyProcessed" || err === "BlockhashNotFound") return undefined;
    if (err === undefined || err === null) throw error;
    return { kind: "refused", err, logs: data?.logs ?? [] };
  }
}
