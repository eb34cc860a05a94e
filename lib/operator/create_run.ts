/** Creates a run: one transaction makes and initialises both accounts; commands.md section 7.1. */
import { Keypair, PublicKey } from "@solana/web3.js";
import {
  COORDINATOR_ACCOUNT_BYTES,
  initCoordinatorInstructions,
} from "../chain/coordinator_instructions.ts";
import {
  associatedTokenAddress,
  coordinatorInstanceAddress,
  treasurerIndex,
  treasurerRunAddress,
} from "../chain/pda.ts";
import { treasurerId } from "../chain/programs.ts";
import { fetchMintDecimals } from "../chain/token.ts";
import { runCreateInstructions } from "../chain/treasurer.ts";
import { PsycheError } from "../error.ts";
import {
  COORDINATOR_INSTANCE_SIZE,
  decodeCoordinatorInstance,
} from "../protocol/coordinator_account.ts";
import { type OperatorContext, recordableUrl } from "./context.ts";
import { checkBalance, checkProgram } from "./preflight.ts";
import { throwProblems } from "./problems.ts";
import { readRunRecord, type RunRecord, runRecordPath, writeRunRecord } from "./run_record.ts";
import { type Outcome, submit } from "./submit.ts";

export interface CreateRunOptions {
  runId: string;
  /** Which client program may join; `test` turns the clients' check off. */
  clientVersion: string;
  /** Default: the paying wallet. */
  joinAuthority?: PublicKey;
  /** Makes a run with rewards: it belongs to a treasurer, which the paying wallet operates. */
  treasurer?: {
    collateralMint: PublicKey;
    /** Default: derived from the run id. */
    index?: bigint;
  };
}

export interface CreatedRun {
  runId: string;
  instance: string;
  coordinatorAccount: string;
  mainAuthority: string;
  joinAuthority: string;
  treasurer: CreatedTreasurer | null;
  /** Lamports locked for storage. */
  rentLamports: number;
  /** Null for a dry run. */
  recordPath: string | null;
  outcome: Outcome;
}

export interface CreatedTreasurer {
  /** Decimal text. */
  index: string;
  address: string;
  collateralMint: string;
  /** Token account from which rewards are paid. */
  collateralAccount: string;
}

/** Bytes of a treasurer's account and of its token account. */
const TREASURER_BYTES = [200, 165];

/** Two signatures and some room for a priority fee. */
const FEE_ALLOWANCE = 50_000;

/**
 * The record is written before the transaction and completed after it, so that the accounts of a
 * run are known even when this process dies in between.
 *
 * @throws PsycheError RUN_EXISTS, PROGRAM_NOT_DEPLOYED, BALANCE_TOO_LOW, PREFLIGHT_FAILED,
 * RUN_ID_INVALID, TEXT_TOO_LONG, MINT_NOT_FOUND, TREASURER_INDEX_TAKEN
 */
export async function createRun(
  context: OperatorContext,
  options: CreateRunOptions,
): Promise<CreatedRun> {
  const { connection, programIds, payer, runsDirectory, cluster } = context;
  const { runId, clientVersion, joinAuthority = payer.publicKey } = options;
  runRecordPath(runsDirectory, cluster, runId);
  const instance = coordinatorInstanceAddress(programIds, runId);
  const treasurer = options.treasurer ? describeTreasurer(context, options) : null;
  const sizes = [
    COORDINATOR_ACCOUNT_BYTES,
    COORDINATOR_INSTANCE_SIZE,
    ...(treasurer === null ? [] : TREASURER_BYTES),
  ];
  const rents = await Promise.all(
    sizes.map((bytes) => connection.getMinimumBalanceForRentExemption(bytes)),
  );
  const rentLamports = rents.reduce((sum, rent) => sum + rent, 0);
  throwProblems((await Promise.all([
    checkProgram(context, "coordinator"),
    checkBalance(context, rentLamports + FEE_ALLOWANCE, `creating the run "${runId}"`),
    checkAbsent(context, runId, instance),
    ...(treasurer === null ? [] : [
      checkProgram(context, "treasurer"),
      checkTreasurer(context, treasurer),
    ]),
  ])).flat());

  const account = Keypair.generate();
  const record: RunRecord = {
    runId,
    cluster,
    genesisHash: context.genesisHash,
    rpcUrl: recordableUrl(context.endpoint.rpcUrl),
    wsUrl: recordableUrl(context.endpoint.wsUrl),
    programIds: {
      authorizer: programIds.authorizer.toBase58(),
      coordinator: programIds.coordinator.toBase58(),
      ...(treasurer === null ? {} : { treasurer: treasurerId(programIds).toBase58() }),
    },
    coordinatorInstance: instance.toBase58(),
    coordinatorAccount: account.publicKey.toBase58(),
    mainAuthority: payer.publicKey.toBase58(),
    joinAuthority: joinAuthority.toBase58(),
    walletPath: context.walletPath,
    mint: treasurer?.collateralMint ?? null,
    treasurerIndex: treasurer?.index ?? null,
    clientVersion,
    status: "creating",
    signatures: {},
  };
  const creation = {
    ids: programIds,
    payer: payer.publicKey,
    coordinatorAccount: account.publicKey,
    runId,
    clientVersion,
    mainAuthority: payer.publicKey,
    joinAuthority,
    rentLamports: rents[0],
  };
  const instructions = options.treasurer
    ? runCreateInstructions({ ...creation, ...options.treasurer })
    : initCoordinatorInstructions(creation);
  if (!context.dryRun) await writeRunRecord(runsDirectory, record);
  const outcome = await submit(context, {
    label: `create run "${runId}"`,
    instructions,
    signers: [account],
  });
  let recordPath: string | null = null;
  if (outcome.signature !== null) {
    recordPath = await writeRunRecord(runsDirectory, {
      ...record,
      status: "created",
      signatures: { createRun: outcome.signature },
    });
  }
  return {
    runId,
    instance: record.coordinatorInstance,
    coordinatorAccount: record.coordinatorAccount,
    mainAuthority: record.mainAuthority,
    joinAuthority: record.joinAuthority,
    treasurer,
    rentLamports,
    recordPath,
    outcome,
  };
}

function describeTreasurer(
  { programIds }: OperatorContext,
  { runId, treasurer }: CreateRunOptions,
): CreatedTreasurer {
  const { collateralMint, index = treasurerIndex(runId) } = treasurer!;
  const address = treasurerRunAddress(programIds, index);
  return {
    index: index.toString(),
    address: address.toBase58(),
    collateralMint: collateralMint.toBase58(),
    collateralAccount: associatedTokenAddress(address, collateralMint).toBase58(),
  };
}

async function checkTreasurer(
  { connection, cluster }: OperatorContext,
  { index, address, collateralMint }: CreatedTreasurer,
): Promise<PsycheError[]> {
  const problems: PsycheError[] = [];
  await fetchMintDecimals(connection, new PublicKey(collateralMint)).catch((error) => {
    if (!(error instanceof PsycheError && error.code === "MINT_NOT_FOUND")) throw error;
    problems.push(error);
  });
  const account = await connection.getAccountInfo(new PublicKey(address));
  if (account !== null && account.data.length > 0) {
    problems.push(
      new PsycheError(
        "TREASURER_INDEX_TAKEN",
        `There is a treasurer with the index ${index} on ${cluster} already (${address}); choose ` +
          `another --treasurer-index.`,
      ),
    );
  }
  return problems;
}

async function checkAbsent(
  context: OperatorContext,
  runId: string,
  instance: PublicKey,
): Promise<PsycheError[]> {
  const { connection, runsDirectory, cluster } = context;
  const account = await connection.getAccountInfo(instance);
  if (account === null) return [];
  // An interrupted creation that did reach the chain: its record only lacks the last word.
  const record = await readRunRecord(runsDirectory, cluster, runId);
  if (record?.status === "creating" && record.genesisHash === context.genesisHash) {
    const stored = new PublicKey(decodeCoordinatorInstance(account.data).coordinatorAccount)
      .toBase58();
    if (stored === record.coordinatorAccount) {
      await writeRunRecord(runsDirectory, { ...record, status: "created" });
    }
  }
  return [
    new PsycheError(
      "RUN_EXISTS",
      `A run "${runId}" exists already on ${cluster} (${instance.toBase58()}); ` +
        `configure it with update-config or choose another --run-id.`,
    ),
  ];
}
