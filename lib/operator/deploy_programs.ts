/** Brings the authorizer, the coordinator and the treasurer to a cluster; commands.md section 2.3. */
import { Keypair, PublicKey } from "@solana/web3.js";
import { dirname, join } from "node:path";
import { bindProgramIds, deployProgram, programHash, readProgram } from "../chain/deploy.ts";
import {
  authorizerIdl,
  coordinatorIdl,
  type ProgramIds,
  treasurerId,
  treasurerIdl,
} from "../chain/programs.ts";
import { type PublishedIdl, publishIdl } from "../chain/publish_idl.ts";
import { TransactionFailedError } from "../chain/send.ts";
import { loadWallet, writeWallet } from "../chain/wallet.ts";
import { PsycheError } from "../error.ts";
import { explorerLink } from "./cluster_key.ts";
import type { OperatorContext } from "./context.ts";
import { type DeploymentCost, deploymentCost, leastRoom } from "./deployment_cost.ts";
import { formatSol } from "./lamports.ts";
import { checkBalance } from "./preflight.ts";
import { throwProblems } from "./problems.ts";
import {
  readProgramsRecord,
  type RecordedProgram,
  writeProgramsRecord,
} from "./programs_record.ts";

export type ProgramName = keyof ProgramIds;

/** A program comes after those that it refers to. */
const PROGRAM_NAMES: readonly ProgramName[] = ["authorizer", "coordinator", "treasurer"];

export interface ProgramToDeploy {
  /** The built program. */
  so: Uint8Array;
  /** Deploy under this key; default: see {@linkcode deployPrograms}. */
  keypair?: Keypair;
}

export interface DeployOptions {
  /** Without a treasurer, runs cannot pay rewards. */
  programs: {
    authorizer: ProgramToDeploy;
    coordinator: ProgramToDeploy;
    treasurer?: ProgramToDeploy;
  };
  /** Room for later versions, bytes; only for new programs. */
  maxLength?: number;
  /** Also put the IDLs of the programs that are ours on chain. */
  publishIdls?: boolean;
  onProgress?: (program: ProgramName, done: number, total: number) => void;
}

export interface DeployedProgram extends RecordedProgram {
  name: ProgramName;
  action: "unchanged" | "upgrade" | "deploy";
  /** Link to the transaction, on public clusters. */
  explorer: string | null;
  /**
   * What became of the IDL on chain: `refused` when somebody else holds its account or the program
   * has no IDL instructions; `null` when it was not to be published.
   */
  idl: PublishedIdl["action"] | "refused" | null;
  /** Rent that this deployment locks, at most. */
  lamportsLocked: number;
}

export interface DeployResult {
  dryRun: boolean;
  programs: DeployedProgram[];
  /** What the payer has to have: rent, fees and what an upgrade borrows, at most. */
  lamportsNeeded: number;
}

/** Room that the historical deployment script reserved. */
export const DEFAULT_MAX_LENGTH = 500_000;

interface Plan {
  name: ProgramName;
  id: PublicKey;
  action: DeployedProgram["action"];
  so: Uint8Array;
  /** Present for a new program. */
  keypair: Keypair | null;
  keyFile: string | null;
  /** Whether we may upgrade it. */
  ours: boolean;
}

interface Target {
  id: PublicKey;
  keypair: Keypair | null;
  keyFile: string | null;
}

/**
 * For each program the target is: the given keypair; else the configured id when a program stands
 * there that we may upgrade or that has these bytes already; else a keypair of our own for this
 * cluster (made once, kept under the keys directory). The bytes are bound to the chosen ids.
 *
 * @throws PsycheError PROGRAM_NOT_OURS, BALANCE_TOO_LOW, and the errors of lib/chain/deploy.ts
 */
export async function deployPrograms(
  context: OperatorContext,
  options: DeployOptions,
): Promise<DeployResult> {
  const plans = await makePlans(context, options);
  const { locked, needed } = await checkCost(context, plans, options);
  const programs: DeployedProgram[] = [];
  for (const [i, plan] of plans.entries()) {
    const deployed = await carryOut(context, plan, options);
    programs.push({ ...deployed, lamportsLocked: locked[i] });
  }
  if (!context.dryRun) await record(context, programs);
  return { dryRun: context.dryRun, programs, lamportsNeeded: needed };
}

/** BALANCE_TOO_LOW, with what less room would cost. */
async function checkCost(
  context: OperatorContext,
  plans: Plan[],
  { maxLength = DEFAULT_MAX_LENGTH, publishIdls = false }: DeployOptions,
): Promise<DeploymentCost> {
  const rent = (bytes: number) => context.connection.getMinimumBalanceForRentExemption(bytes);
  const costs = plans.map(({ action, so, ours }) => ({
    action,
    bytes: so.length,
    withIdl: publishIdls && ours,
  }));
  const cost = await deploymentCost(costs, maxLength, rent);
  if (cost.needed === 0) return cost;
  const problems = await checkBalance(context, cost.needed, "deploying the programs", async () => {
    const room = leastRoom(costs);
    const { needed } = await deploymentCost(costs, room, rent);
    if (room >= maxLength || needed >= cost.needed) return null;
    return `reserve less room for later versions: with --max-len ${room} it needs ${
      formatSol(needed)
    }`;
  });
  throwProblems(problems);
  return cost;
}

/** An unchanged program keeps what is known of its deployment. */
async function record(context: OperatorContext, programs: DeployedProgram[]): Promise<void> {
  const { cluster, genesisHash, runsDirectory } = context;
  const earlier = await readProgramsRecord(runsDirectory, cluster, genesisHash);
  const coordinatorStays = programs.some(({ name, programId }) =>
    name === "coordinator" && programId === earlier?.coordinator.programId
  );
  const entry = (name: ProgramName): RecordedProgram | undefined => {
    const known = earlier?.[name];
    const program = programs.find((it) => it.name === name);
    // A treasurer works for the coordinator that it was bound to.
    if (!program) return coordinatorStays ? known : undefined;
    const { programId, sha256, signature, keyFile } = program;
    const isKnown = known?.programId === programId;
    return {
      programId,
      sha256,
      signature: signature ?? (isKnown ? known.signature : null),
      keyFile: keyFile ?? (isKnown ? known.keyFile : null),
    };
  };
  await writeProgramsRecord(runsDirectory, {
    cluster,
    genesisHash,
    authorizer: entry("authorizer")!,
    coordinator: entry("coordinator")!,
    treasurer: entry("treasurer"),
  });
}

async function makePlans(context: OperatorContext, options: DeployOptions): Promise<Plan[]> {
  const ids = { ...context.programIds, treasurer: treasurerId(context.programIds) };
  const targets: (Target & { name: ProgramName; program: ProgramToDeploy })[] = [];
  for (const name of PROGRAM_NAMES) {
    const program = options.programs[name];
    if (program === undefined) continue;
    const target = await chooseTarget(context, name, program, ids);
    ids[name] = target.id;
    targets.push({ ...target, name, program });
  }
  return await Promise.all(targets.map(async (target): Promise<Plan> => {
    const { name, program, id, keypair, keyFile } = target;
    const so = bindProgramIds(program.so, idTable(name, ids));
    const existing = await readProgram(context.connection, id);
    if (!existing.exists) return { name, id, action: "deploy", so, keypair, keyFile, ours: true };
    const ours = existing.upgradeAuthority?.equals(context.payer.publicKey) ?? false;
    if (existing.sha256 === programHash(so)) {
      return { name, id, action: "unchanged", so, keypair: null, keyFile, ours };
    }
    if (!ours) {
      throw new PsycheError(
        "PROGRAM_NOT_OURS",
        `The program ${id.toBase58()} (${name}) may be upgraded only by ` +
          `${existing.upgradeAuthority?.toBase58() ?? "nobody"}; give that key as wallet, or ` +
          `another --${name}-keypair.`,
      );
    }
    return { name, id, action: "upgrade", so, keypair: null, keyFile, ours };
  }));
}

/** A program knows its own id first, then the ids of the programs that it refers to. */
function idTable(name: ProgramName, ids: Required<ProgramIds>): PublicKey[] {
  const { authorizer, coordinator, treasurer } = ids;
  switch (name) {
    case "authorizer":
      return [authorizer];
    case "coordinator":
      return [coordinator, authorizer];
    case "treasurer":
      return [treasurer, coordinator];
  }
}

async function chooseTarget(
  context: OperatorContext,
  name: ProgramName,
  program: ProgramToDeploy,
  ids: Required<ProgramIds>,
): Promise<Target> {
  if (program.keypair) {
    return { id: program.keypair.publicKey, keypair: program.keypair, keyFile: null };
  }
  const configured = ids[name];
  const existing = await readProgram(context.connection, configured);
  const isOurs = existing.upgradeAuthority?.equals(context.payer.publicKey) ?? false;
  const wanted = programHash(bindProgramIds(program.so, idTable(name, ids)));
  if (existing.exists && (isOurs || existing.sha256 === wanted)) {
    return { id: configured, keypair: null, keyFile: null };
  }
  const keyFile = join(context.keysDirectory, context.cluster, `${name}-program.json`);
  const keypair = await loadOrMakeKey(keyFile, context.dryRun);
  return { id: keypair.publicKey, keypair, keyFile };
}

/** A dry run makes up a key and forgets it. */
async function loadOrMakeKey(path: string, dryRun: boolean): Promise<Keypair> {
  try {
    return (await loadWallet(path)).keypair;
  } catch (error) {
    if (!(error instanceof PsycheError) || error.code !== "WALLET_FILE_MISSING") throw error;
  }
  const keypair = Keypair.generate();
  if (dryRun) return keypair;
  await Deno.mkdir(dirname(path), { recursive: true, mode: 0o700 });
  await writeWallet(path, keypair);
  return keypair;
}

async function carryOut(
  context: OperatorContext,
  plan: Plan,
  options: DeployOptions,
): Promise<Omit<DeployedProgram, "lamportsLocked">> {
  const { name, id, action, so, keypair, keyFile } = plan;
  const described = { name, action, programId: id.toBase58(), sha256: programHash(so), keyFile };
  if (context.dryRun) return { ...described, signature: null, explorer: null, idl: null };
  if (action === "unchanged") {
    const idl = await publish(context, plan, options);
    return { ...described, signature: null, explorer: null, idl };
  }
  const { connection, payer, signal } = context;
  const { signature } = await deployProgram({
    connection,
    payer,
    authority: payer,
    so,
    program: keypair ?? id,
    maxLen: Math.max(options.maxLength ?? DEFAULT_MAX_LENGTH, so.length),
    priorityFeeMicroLamports: context.priorityFeeMicroLamports,
    onProgress: ({ phase, done, total }) => {
      if (phase === "write") options.onProgress?.(name, done, total);
    },
    signal,
  });
  const idl = await publish(context, plan, options);
  return { ...described, signature, explorer: explorerLink(context.cluster, signature), idl };
}

const IDLS = { authorizer: authorizerIdl, coordinator: coordinatorIdl, treasurer: treasurerIdl };

/** A program without its IDL on chain works as well: a refusal is reported, not thrown. */
async function publish(
  context: OperatorContext,
  { name, id, ours }: Plan,
  options: DeployOptions,
): Promise<DeployedProgram["idl"]> {
  if (!options.publishIdls || !ours) return null;
  try {
    const { action } = await publishIdl({
      connection: context.connection,
      payer: context.payer,
      programId: id,
      idl: IDLS[name],
      priorityFeeMicroLamports: context.priorityFeeMicroLamports,
      signal: context.signal,
    });
    return action;
  } catch (error) {
    const isNotOurs = error instanceof PsycheError && error.code === "IDL_NOT_OURS";
    if (isNotOurs || error instanceof TransactionFailedError) return "refused";
    throw error;
  }
}
