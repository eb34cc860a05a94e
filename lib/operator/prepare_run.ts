/**
 * From a cluster to a run that waits for its members: SOL, programs, authorization, run,
 * configuration, resume. commands.md sections 2.3 and 2.4. Every step ends by a condition, none by time,
 * and finds what an earlier, interrupted preparation has done.
 */
import { EVERYBODY } from "../chain/authorizer.ts";
import { PublicKey } from "@solana/web3.js";
import { join } from "node:path";
import { PsycheError } from "../error.ts";
import type { CoordinatorConfig, Model } from "../protocol/coordinator_state.ts";
import { isHalted } from "../protocol/run_state.ts";
import { airdropUpTo } from "./airdrop.ts";
import type { OperatorContext } from "./context.ts";
import { createJoinAuthorization } from "./create_authorization.ts";
import { createRun } from "./create_run.ts";
import { createToken } from "./create_token.ts";
import { deployPrograms, type ProgramName } from "./deploy_programs.ts";
import { LAMPORTS_PER_SOL } from "./lamports.ts";
import { readProgramFile } from "./program_file.ts";
import { readRun, type RunOnChain } from "./read_run.ts";
import { setPaused } from "./set_paused.ts";
import { setRates } from "./set_rates.ts";
import { topUpRewards } from "./top_up_rewards.ts";
import { updateConfig } from "./update_config.ts";
import { waitUntil } from "./wait_until.ts";

export const RUN_STEPS = [
  "airdrop",
  "programs",
  "authorization",
  "run",
  "config",
  "resume",
] as const;
export type RunStep = typeof RUN_STEPS[number];

export interface PrepareRunOptions {
  runId: string;
  /** The cluster is a test cluster, whatever its address: its faucet fills the wallet. */
  faucet?: boolean;
  config: { config: CoordinatorConfig; model: Model };
  /** Default `test`: any client may join. */
  clientVersion?: string;
  /** False: nobody may join until an authorization is made. Default true. */
  permissionless?: boolean;
  /** The run pays rewards, in a token made for it. Default false. */
  treasurer?: boolean;
  /** Token and rates of a run with rewards; absent = a few units of a token without decimals. */
  rewards?: RewardPlan;
  /** Room of a new program for later versions, bytes; as of `deployPrograms`. */
  maxLen?: number;
  /** Folder with the built programs; default `programs`. */
  programsDirectory?: string;
  onEvent?: (
    event: { type: "progress"; program: ProgramName; done: number; total: number },
  ) => void;
}

export interface PreparedRun {
  coordinatorAddress: string;
  /** Mint of the rewards; null for a run without. */
  collateralMint: string | null;
}

/** SOL of the owner of a localnet: the deployments and a run lock about 10. */
const OWNER_SOL = 100;
/** Token and rates of a run with rewards. Amounts and rates in base units. */
export interface RewardPlan {
  decimals: number;
  supply: bigint;
  /** Moved into the run's treasury at the start. */
  topUp: bigint;
  /** Shared by the clients that finish an epoch. */
  earningRate: bigint;
  slashingRate: bigint;
}

/** What the historical script gave to a test run. */
const TEST_REWARDS: RewardPlan = {
  decimals: 0,
  supply: 1_000_000n,
  topUp: 10n,
  earningRate: 10n,
  slashingRate: 10n,
};

/**
 * @param step runs one step; the caller measures and reports it
 * @throws PsycheError the errors of the single steps
 */
export async function prepareRun(
  context: OperatorContext,
  options: PrepareRunOptions,
  step: <T>(name: RunStep, work: () => Promise<T>) => Promise<T>,
): Promise<PreparedRun> {
  const { connection, payer, cluster, signal } = context;
  const { runId } = options;
  await step("airdrop", async () => {
    if (!options.faucet && !cluster.startsWith("localnet")) return;
    await airdropUpTo(connection, payer.publicKey, OWNER_SOL * LAMPORTS_PER_SOL, signal);
  });
  const ids = await step("programs", () => deploy(context, options));
  // What was deployed just now is what the steps after it use.
  const own = { ...context, programIds: { ...context.programIds, ...ids } };
  await step("authorization", async () => {
    if (options.permissionless === false) return;
    await createJoinAuthorization(own, { grantor: payer, grantee: EVERYBODY });
  });
  const run = await step("run", () => findOrCreateRun(own, options));
  await step("config", () => updateConfig(own, runId, { file: options.config }));
  await step("resume", async () => {
    await setPaused(own, { runId, paused: false });
    const isRunning = async () => !isHalted((await readRun(own, runId)).state.runState);
    const what = `the run "${runId}" to wait for members`;
    await waitUntil(isRunning, { what, timeoutMillis: 30_000, signal });
  });
  return {
    coordinatorAddress: run.coordinatorAccount.toBase58(),
    collateralMint: run.treasurer?.collateralMint.toBase58() ?? null,
  };
}

async function deploy(context: OperatorContext, options: PrepareRunOptions) {
  const { programsDirectory = "programs", onEvent } = options;
  const source = async (name: ProgramName) => ({
    so: await readProgramFile(join(programsDirectory, `${name}.so`)),
  });
  const { programs } = await deployPrograms(context, {
    programs: {
      authorizer: await source("authorizer"),
      coordinator: await source("coordinator"),
      treasurer: options.treasurer ? await source("treasurer") : undefined,
    },
    maxLength: options.maxLen,
    onProgress: (program, done, total) => onEvent?.({ type: "progress", program, done, total }),
  });
  return Object.fromEntries(programs.map((it) => [it.name, new PublicKey(it.programId)]));
}

async function findOrCreateRun(
  context: OperatorContext,
  options: PrepareRunOptions,
): Promise<RunOnChain> {
  const { runId, clientVersion = "test" } = options;
  try {
    return await readRun(context, runId);
  } catch (error) {
    if (!(error instanceof PsycheError) || error.code !== "RUN_NOT_FOUND") throw error;
  }
  if (!options.treasurer) {
    await createRun(context, { runId, clientVersion });
    return await readRun(context, runId);
  }
  const { decimals, supply, topUp, earningRate, slashingRate } = options.rewards ?? TEST_REWARDS;
  const { mint } = await createToken(context, { decimals, supply });
  const collateralMint = new PublicKey(mint);
  await createRun(context, { runId, clientVersion, treasurer: { collateralMint } });
  await topUpRewards(context, { runId, amount: `${topUp}raw` });
  await setRates(context, { runId, earningRate, slashingRate });
  return await readRun(context, runId);
}
