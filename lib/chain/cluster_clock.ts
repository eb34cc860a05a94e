/** The chain's own time, which a localnet may run faster than the wall clock. */
import { type Connection, SYSVAR_CLOCK_PUBKEY } from "@solana/web3.js";
import { PsycheError } from "../error.ts";
import { RpcError, rpcRequest } from "./rpc.ts";

export interface ClusterClock {
  /** Unix time of the chain in milliseconds; local arithmetic since the last sync. */
  now(): number;
  /** Chain milliseconds for each millisecond of the wall clock. */
  readonly clockRate: number;
  /** Ask the cluster again. */
  resync(): Promise<void>;
}

interface Reading {
  chainMillis: number;
  rate: number;
}

/**
 * Read the cluster's clock: exactly where the node answers `localnet_getClock`, else from the Clock
 * sysvar (whole seconds, so good to about half a second and a slot).
 * @throws PsycheError CLUSTER_CLOCK_UNREADABLE, RPC_...
 */
export async function clusterClock(connection: Connection): Promise<ClusterClock> {
  let base = await read(connection);
  return {
    now: () => base.chainMillis + (performance.now() - base.at) * base.rate,
    get clockRate() {
      return base.rate;
    },
    resync: async () => {
      base = await read(connection);
    },
  };
}

async function read(connection: Connection): Promise<Reading & { at: number }> {
  const asked = performance.now();
  const reading = await localnetClock(connection) ?? await sysvarClock(connection);
  // The answer is as old as half of the round trip.
  return { ...reading, at: (asked + performance.now()) / 2 };
}

async function localnetClock(connection: Connection): Promise<Reading | undefined> {
  try {
    const { unixTimestampMillis, clockRate } = await rpcRequest(
      connection,
      "localnet_getClock",
      [],
    ) as { unixTimestampMillis: number; clockRate: number };
    return { chainMillis: Number(unixTimestampMillis), rate: Number(clockRate) };
  } catch (error) {
    if (error instanceof RpcError) return undefined; // not an embedded localnet
    if (error instanceof PsycheError && error.code === "RPC_REFUSED") return undefined;
    throw error;
  }
}

async function sysvarClock(connection: Connection): Promise<Reading> {
  const account = await connection.getAccountInfo(SYSVAR_CLOCK_PUBKEY);
  if (!account || account.data.length < 40) {
    throw new PsycheError(
      "CLUSTER_CLOCK_UNREADABLE",
      "The cluster shows no Clock account; use a Solana node.",
    );
  }
  const view = new DataView(account.data.buffer, account.data.byteOffset);
  return { chainMillis: Number(view.getBigInt64(32, true)) * 1000 + 500, rate: 1 };
}
