/** All runs of a coordinator program; docs/protocol/commands.md sections 9.4 and 11.3. */
import { PublicKey } from "@solana/web3.js";
import bs58 from "bs58";
import { clusterClock } from "../chain/cluster_clock.ts";
import { PsycheError } from "../error.ts";
import {
  COORDINATOR_INSTANCE_DISCRIMINATOR,
  decodeCoordinatorAccount,
  decodeCoordinatorInstance,
} from "../protocol/coordinator_account.ts";
import { type CoordinatorState, RunState } from "../protocol/coordinator_state.ts";
import { isHalted, pendingClients, runStateText } from "../protocol/run_state.ts";
import { chunks } from "./chunks.ts";
import type { ReaderContext } from "./context.ts";

export interface ListedRun {
  runId: string;
  state: string;
  /** `-`, `1/2 waiting` or `3 training`. */
  clients: string;
  epochTime: string;
  /** `-`, a duration or `overrun`. */
  timeLeft: string;
  epoch: number;
  step: number;
  totalSteps: number;
  clientVersion: string;
  joinAuthority: string;
  instance: string;
  coordinatorAccount: string;
}

export interface ListOptions {
  /** Only runs that this key admits clients to. */
  joinAuthority?: PublicKey;
  /** Leave out what is halted. */
  active?: boolean;
}

/** Coordinator accounts of one request: 119 kB each. */
const ACCOUNTS_PER_REQUEST = 16;

/**
 * Runs that wait for members come first, then the others that move, then the halted ones.
 * @returns also how many accounts could not be read, for example those of another version
 */
export async function listRuns(
  context: ReaderContext,
  options: ListOptions,
): Promise<{ runs: ListedRun[]; unreadable: number }> {
  const { connection, programIds } = context;
  const found = await connection.getProgramAccounts(programIds.coordinator, {
    filters: [{ memcmp: { offset: 0, bytes: bs58.encode(COORDINATOR_INSTANCE_DISCRIMINATOR) } }],
  });
  let unreadable = 0;
  const instances = found.flatMap(({ pubkey, account }) => {
    const instance = orNull(() => decodeCoordinatorInstance(account.data));
    if (instance === null) unreadable++;
    return instance === null ? [] : [{ ...instance, address: pubkey }];
  }).filter(({ joinAuthority }) =>
    options.joinAuthority?.equals(new PublicKey(joinAuthority)) ?? true
  );
  const now = BigInt(Math.floor((await clusterClock(connection)).now() / 1000));
  const runs: { rank: number; run: ListedRun }[] = [];
  for (const part of chunks(instances, ACCOUNTS_PER_REQUEST)) {
    const keys = part.map(({ coordinatorAccount }) => new PublicKey(coordinatorAccount));
    const accounts = await connection.getMultipleAccountsInfo(keys);
    for (const [i, instance] of part.entries()) {
      const data = accounts[i]?.data;
      const state = data === undefined ? null : orNull(() => decodeCoordinatorAccount(data));
      if (state === null) unreadable++;
      else if (!(options.active && isHalted(state.runState))) {
        const addresses = {
          joinAuthority: text(instance.joinAuthority),
          instance: `${instance.address}`,
        };
        runs.push({
          rank: rankOf(state),
          run: { ...listed(state, now), ...addresses, coordinatorAccount: `${keys[i]}` },
        });
      }
    }
  }
  runs.sort((a, b) => a.rank - b.rank || (a.run.runId < b.run.runId ? -1 : 1));
  return { runs: runs.map(({ run }) => run), unreadable };
}

/** For example `1h 5m 3s`; zero parts are left out. */
export function formatDuration(seconds: bigint): string {
  const parts = [[seconds / 3600n, "h"], [seconds / 60n % 60n, "m"], [seconds % 60n, "s"]] as const;
  return parts.filter(([value]) => value > 0n).map(([value, unit]) => `${value}${unit}`).join(
    " ",
  ) ||
    "0s";
}

function listed(state: CoordinatorState, now: bigint) {
  const { config, progress } = state;
  return {
    runId: state.runId,
    state: runStateText(state.runState),
    clients: clientsOf(state),
    epochTime: formatDuration(config.epochTime),
    timeLeft: timeLeftOf(state, now),
    epoch: progress.epoch,
    step: progress.step,
    totalSteps: config.totalSteps,
    clientVersion: state.clientVersion,
  };
}

function clientsOf(state: CoordinatorState): string {
  if (isHalted(state.runState)) return "-";
  const { minClients, initMinClients } = state.config;
  const isWaiting = state.runState === RunState.WaitingForMembers;
  const least = isWaiting ? initMinClients : minClients;
  const count = isWaiting ? pendingClients(state).length : state.epochState.clients.length;
  return count < least || isWaiting ? `${count}/${least} waiting` : `${count} training`;
}

function timeLeftOf(state: CoordinatorState, now: bigint): string {
  const { startTimestamp } = state.epochState;
  const stands = isHalted(state.runState) || state.runState === RunState.WaitingForMembers;
  if (stands || startTimestamp === 0n) return "-";
  const end = startTimestamp + state.config.epochTime;
  return now > end ? "overrun" : formatDuration(end - now);
}

function rankOf({ runState }: CoordinatorState): number {
  return runState === RunState.WaitingForMembers ? 0 : isHalted(runState) ? 2 : 1;
}

function text(key: Uint8Array): string {
  return new PublicKey(key).toBase58();
}

function orNull<T>(decode: () => T): T | null {
  try {
    return decode();
  } catch (error) {
    if (error instanceof PsycheError) return null;
    throw error;
  }
}
