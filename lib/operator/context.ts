/** What every operator action works with: one cluster, one paying wallet, the program ids. */
import type { Connection, Keypair } from "@solana/web3.js";
import { join } from "node:path";
import {
  closeConnection,
  openConnection,
  type OpenConnectionOptions,
} from "../chain/connection.ts";
import { type Endpoint, redactUrl, resolveEndpoint } from "../chain/endpoint.ts";
import { defaultProgramIds, type ProgramIds } from "../chain/programs.ts";
import { clusterKey } from "./cluster_key.ts";
import { readProgramsRecord, recordedIds } from "./programs_record.ts";

/** A cluster and the programs on it; enough for reading. */
export interface ReaderContext {
  connection: Connection;
  endpoint: Endpoint;
  /** Folder name of the cluster's records; see cluster_key.ts. */
  cluster: string;
  genesisHash: string;
  programIds: ProgramIds;
  /** Folder of run records. */
  runsDirectory: string;
  signal?: AbortSignal;
}

export interface OperatorContext extends ReaderContext {
  /** Pays and signs as owner. */
  payer: Keypair;
  /** File that `payer` came from. */
  walletPath: string | null;
  /** Simulate only. */
  dryRun: boolean;
  priorityFeeMicroLamports?: number;
  /** Folder of keys that the toolkit makes. */
  keysDirectory: string;
}

export interface ReaderOptions {
  /** URL or moniker. */
  rpc: string;
  wsRpc?: string;
  /** Other addresses of the same cluster, asked in this order when the first fails. */
  fallbacks?: OpenConnectionOptions["fallbacks"];
  onFailover?: OpenConnectionOptions["onFailover"];
  onProblem?: OpenConnectionOptions["onProblem"];
  /** Ids given by the user; absent ones come from the cluster's record of deployed programs. */
  programIds?: Partial<ProgramIds>;
  /** Default: `runs`. */
  runsDirectory?: string;
  signal?: AbortSignal;
}

export interface OperatorOptions extends ReaderOptions {
  payer: Keypair;
  walletPath?: string | null;
  dryRun?: boolean;
  priorityFeeMicroLamports?: number;
  /** Default: `.psyche/keys`. */
  keysDirectory?: string;
}

/** Connects and finds out which cluster it is. The caller closes the connection. */
export async function openReader(options: ReaderOptions): Promise<ReaderContext> {
  const { signal, fallbacks, onFailover, onProblem, runsDirectory = "runs" } = options;
  const endpoint = resolveEndpoint(options.rpc, options.wsRpc);
  const connection = openConnection({ ...endpoint, fallbacks, onFailover, onProblem, signal });
  try {
    const genesisHash = await connection.getGenesisHash();
    const cluster = clusterKey(endpoint.rpcUrl, genesisHash);
    const deployed = recordedIds(
      await readProgramsRecord(runsDirectory, cluster, genesisHash),
    );
    const programIds = { ...defaultProgramIds(), ...deployed, ...options.programIds };
    return { connection, endpoint, cluster, genesisHash, programIds, runsDirectory, signal };
  } catch (error) {
    await closeConnection(connection);
    throw error;
  }
}

/** The same with a paying wallet. */
export async function openOperator(options: OperatorOptions): Promise<OperatorContext> {
  return {
    ...await openReader(options),
    payer: options.payer,
    walletPath: options.walletPath ?? null,
    dryRun: options.dryRun ?? false,
    priorityFeeMicroLamports: options.priorityFeeMicroLamports,
    keysDirectory: options.keysDirectory ?? join(".psyche", "keys"),
  };
}

/** The address as it may be written down: null when it carries a secret. */
export function recordableUrl(url: string): string | null {
  return redactUrl(url) === url.replace(/\/$/, "") ? url : null;
}

/** Closes the connection of a context. */
export async function closeOperator(context: ReaderContext): Promise<void> {
  await closeConnection(context.connection);
}
