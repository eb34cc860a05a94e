/**
 * From nothing to a run that waits for its members: localnet, SOL, programs, authorization, run,
 * configuration, resume. commands.md sections 2.2-2.4. Every step ends by a condition, none by time.
 */
import type { Keypair } from "@solana/web3.js";
import { join } from "node:path";
import { closeConnection } from "../chain/connection.ts";
import { defaultProgramIds, type ProgramIds } from "../chain/programs.ts";
import { type SpawnedLocalnet, spawnLocalnet } from "../localnet/spawn.ts";
import type { CoordinatorConfig, Model } from "../protocol/coordinator_state.ts";
import { openOperator, type OperatorContext } from "./context.ts";
import type { ProgramName } from "./deploy_programs.ts";
import { forgetRecords } from "./forget_localnet.ts";
import { localnetEnded, wantedEnd } from "./localnet_end.ts";
import { prepareRun, type RewardPlan, RUN_STEPS } from "./prepare_run.ts";
import { withLocalData } from "./served_data.ts";

export const SETUP_STEPS = ["localnet", ...RUN_STEPS] as const;
export type SetupStep = typeof SETUP_STEPS[number];

export type SetupEvent =
  | { type: "step"; step: SetupStep }
  | { type: "step done"; step: SetupStep; milliseconds: number }
  | { type: "progress"; program: ProgramName; done: number; total: number };

export interface SetupLocalnetOptions {
  /** 0 takes any free pair of ports. */
  rpcPort: number;
  /** Default: `rpcPort` + 1. */
  wsPort?: number;
  bindAddress?: string;
  /** Host name or address under which clients reach the localnet; default: as this machine does. */
  advertiseHost?: string;
  /** Becomes owner of programs and run; gets the airdrop. */
  wallet: Keypair;
  walletPath?: string | null;
  runId: string;
  config: { config: CoordinatorConfig; model: Model };
  /** Chain seconds per wall second. */
  clockRate: number;
  /** Served at `<rpcUrl>/data/`. */
  dataDirectory?: string;
  /** Folder with authorizer.so, coordinator.so, placeholder.so; default `programs`. */
  programsDirectory?: string;
  /** Room of a new program for later versions, bytes. */
  maxLen?: number;
  /** Default `test`: any client may join. */
  clientVersion?: string;
  /** False: nobody may join until an authorization is made. Default true. */
  permissionless?: boolean;
  /** The run pays rewards, in a token made for it. Default false. */
  treasurer?: boolean;
  /** Token and rates of a run with rewards; absent = a few units of a token without decimals. */
  rewards?: RewardPlan;
  runsDirectory?: string;
  keysDirectory?: string;
  /** Ends the localnet too. */
  signal?: AbortSignal;
  onEvent?: (event: SetupEvent) => void;
}

export interface LocalnetSetup {
  rpcUrl: string;
  wsUrl: string;
  pid: number;
  programIds: ProgramIds;
  runId: string;
  coordinatorAddress: string;
  /** Mint of the rewards; null for a run without. */
  collateralMint: string | null;
  /** Milliseconds of each step. */
  timings: Record<SetupStep, number>;
  /** Still connected; for streaming logs. */
  context: OperatorContext;
  /**
   * Resolves when the localnet was stopped or interrupted; rejects with LOCALNET_ENDED when it died.
   */
  finished(): Promise<void>;
  /** Resolves when the localnet has ended, wanted or not. */
  ended: Promise<{ code: number; signal: string | null }>;
  /** Ends the localnet and the connection, and forgets its records. May be called more than once. */
  stop(): Promise<void>;
}

/**
 * @throws PsycheError LOCALNET_START_FAILED, LOCALNET_ENDED when the localnet dies on the way, and the
 * errors of the single steps. Nothing is left running after a throw.
 */
export async function setupLocalnet(options: SetupLocalnetOptions): Promise<LocalnetSetup> {
  const timings = {} as Record<SetupStep, number>;
  const step = async <T>(name: SetupStep, work: () => Promise<T>): Promise<T> => {
    options.signal?.throwIfAborted();
    options.onEvent?.({ type: "step", step: name });
    const start = performance.now();
    const result = await work();
    timings[name] = performance.now() - start;
    options.onEvent?.({ type: "step done", step: name, milliseconds: timings[name] });
    return result;
  };

  const localnet = await step("localnet", () => startLocalnet(options));
  // Whatever waits for an answer of a localnet that died must stop waiting.
  const death = new AbortController();
  let stopped = false;
  localnet.ended.then(({ code, signal }) => {
    if (!stopped) death.abort(localnetEnded(code, signal));
  });
  const signal = AbortSignal.any([death.signal, ...(options.signal ? [options.signal] : [])]);
  let context: OperatorContext | null = null;
  const stop = async () => {
    stopped = true;
    if (context !== null) await closeConnection(context.connection);
    await localnet.stop();
    if (context !== null) {
      const { runsDirectory, cluster, genesisHash } = context;
      await forgetRecords(runsDirectory, cluster, (hash) => hash === genesisHash);
    }
  };
  try {
    context = await openOperator({
      rpc: localnet.rpcUrl,
      wsRpc: localnet.wsUrl,
      payer: options.wallet,
      walletPath: options.walletPath,
      runsDirectory: options.runsDirectory,
      keysDirectory: options.keysDirectory,
      signal,
    });
    const { runsDirectory, cluster, genesisHash } = context;
    await forgetRecords(runsDirectory, cluster, (hash) => hash !== genesisHash);
    const { config, model } = options.config;
    const { coordinatorAddress, collateralMint } = await prepareRun(context, {
      ...options,
      faucet: true,
      config: { config, model: withLocalData(model, servedAt(options, localnet)) },
    }, step);
    const { rpcUrl, wsUrl, pid, ended } = localnet;
    const { runId } = options;
    const { programIds } = context;
    const finished = () => wantedEnd(localnet, () => stopped || options.signal?.aborted === true);
    return {
      ...{ rpcUrl, wsUrl, pid, programIds, runId, coordinatorAddress, collateralMint },
      ...{ timings, context, ended },
      finished,
      stop,
    };
  } catch (error) {
    await stop();
    options.signal?.throwIfAborted();
    signal.throwIfAborted();
    throw error;
  }
}

async function startLocalnet(options: SetupLocalnetOptions): Promise<SpawnedLocalnet> {
  const authority = options.wallet.publicKey.toBase58();
  return await spawnLocalnet({
    bindAddress: options.bindAddress,
    rpcPort: options.rpcPort,
    wsPort: options.wsPort,
    clockRate: options.clockRate,
    placeholder: join(options.programsDirectory ?? "programs", "placeholder.so"),
    reservedPrograms: Object.values(defaultProgramIds()).map((id) => ({
      id: id.toBase58(),
      authority,
    })),
    serve: options.dataDirectory === undefined
      ? []
      : [{ name: "data", folder: options.dataDirectory }],
  }, { signal: options.signal });
}

function servedAt({ advertiseHost }: SetupLocalnetOptions, { rpcUrl }: SpawnedLocalnet): string {
  const url = new URL(rpcUrl);
  if (advertiseHost !== undefined) url.hostname = advertiseHost;
  return url.href;
}
