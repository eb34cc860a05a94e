/**
 * Following a coordinator account: a subscription, a re-read whenever the socket has been (re)opened,
 * and a slow poll for what both missed. See docs/protocol/client-lifecycle.md section 10.
 */
import type { Connection, PublicKey } from "@solana/web3.js";
import { PsycheError } from "../error.ts";
import {
  COORDINATOR_ACCOUNT_SIZE,
  decodeCoordinatorAccount,
} from "../protocol/coordinator_account.ts";
import type { CoordinatorState } from "../protocol/coordinator_state.ts";
import { onSocketOpen, resetSocket } from "./connection.ts";
import { sleep } from "./sleep.ts";

export interface WatchOptions {
  /** Ends the watch; the promise then resolves. */
  signal: AbortSignal;
  /** Each state that is newer than all before, the present one first. */
  onState: (state: CoordinatorState, slot: number) => void;
  /** What went wrong on the way; the watch goes on. */
  onProblem?: (error: Error) => void;
  /** Time between two polls. Default 5 s. */
  pollMillis?: number;
}

/** From the client version to the nonce at the end: all that tells a newer state apart. */
const TAIL = { offset: 119_050, length: 110 };
const VERSION_BYTES = 96;

/** Polls in a row that found what the subscription did not tell before its socket counts as dead. */
const MISSES_UNTIL_RESET = 2;

/**
 * Follow the account until `signal` fires.
 * @throws PsycheError COORDINATOR_ACCOUNT_INVALID, COORDINATOR_ACCOUNT_MISSING for the first read,
 *   RUN_CLOSED when the account is closed later, and whatever `onState` throws
 */
export async function watchCoordinator(
  connection: Connection,
  address: PublicKey,
  options: WatchOptions,
): Promise<void> {
  const { signal, onState, pollMillis = 5000 } = options;
  if (signal.aborted) return;
  const stop = new AbortController();
  let failure: unknown;
  const fail = (error: unknown) => {
    failure ??= error;
    stop.abort();
  };
  const report = (error: unknown) => {
    if (!stop.signal.aborted) {
      options.onProblem?.(error instanceof Error ? error : new Error(String(error)));
    }
  };

  let last: Uint8Array | undefined;
  const deliver = (data: Uint8Array, slot: number): void => {
    if (stop.signal.aborted) return;
    if (data.length === 0) return fail(closed(address));
    if (data.length === COORDINATOR_ACCOUNT_SIZE) {
      const tail = data.subarray(TAIL.offset, TAIL.offset + TAIL.length);
      if (last && !isNewer(tail, last)) return;
      const state = decodeCoordinatorAccount(data);
      last = new Uint8Array(tail);
      try {
        onState(state, slot);
      } catch (error) {
        fail(error);
      }
    } else decodeCoordinatorAccount(data); // throws the error that says what is wrong
  };
  const read = async () => {
    const { value, context } = await connection.getAccountInfoAndContext(address);
    if (!value) return fail(closed(address));
    deliver(value.data, context.slot);
  };

  const first = await connection.getAccountInfoAndContext(address);
  if (!first.value) throw missing(address);
  deliver(first.value.data, first.context.slot);

  let misses = 0;
  const onAbort = () => stop.abort();
  signal.addEventListener("abort", onAbort, { once: true });
  const subscription = connection.onAccountChange(address, ({ data }, { slot }) => {
    misses = 0;
    try {
      deliver(data, slot);
    } catch (error) {
      report(error);
    }
  }, { commitment: "confirmed", encoding: "base64" });
  const forgetOpen = onSocketOpen(connection, () => void read().catch(report));
  try {
    while (!signal.aborted && failure === undefined) {
      await sleep(pollMillis, stop.signal).catch(() => {});
      if (stop.signal.aborted) break;
      try {
        const tail = await connection.getAccountInfo(address, { dataSlice: TAIL });
        if (!tail) fail(closed(address));
        else if (isNewer(tail.data, last!)) {
          await read();
          if (++misses >= MISSES_UNTIL_RESET) {
            misses = 0;
            resetSocket(connection);
          }
        }
      } catch (error) {
        report(error);
      }
    }
  } finally {
    stop.abort();
    signal.removeEventListener("abort", onAbort);
    forgetOpen();
    connection.removeAccountChangeListener(subscription).catch(() => {});
  }
  if (failure !== undefined && !signal.aborted) throw failure;
}

/**
 * A larger nonce, or the same nonce with another client version (which alone does not count the
 * nonce up, docs/protocol/onchain-coordinator.md section 4.4).
 */
function isNewer(tail: Uint8Array, last: Uint8Array): boolean {
  const [nonce, before] = [nonceOf(tail), nonceOf(last)];
  if (nonce !== before) return nonce > before;
  for (let i = 0; i < VERSION_BYTES; i++) if (tail[i] !== last[i]) return true;
  return false;
}

function nonceOf(tail: Uint8Array): bigint {
  const view = new DataView(tail.buffer, tail.byteOffset, tail.byteLength);
  return view.getBigUint64(TAIL.length - 8, true);
}

function missing(address: PublicKey): PsycheError {
  return new PsycheError(
    "COORDINATOR_ACCOUNT_MISSING",
    `There is no coordinator account ${address.toBase58()}; the run was closed, or the node is behind.`,
  );
}

function closed(address: PublicKey): PsycheError {
  return new PsycheError(
    "RUN_CLOSED",
    `The coordinator account ${address.toBase58()} was closed by the run's owner; nothing is left to follow.`,
  );
}
