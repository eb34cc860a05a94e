/** Creates a run: one transaction makes and initialises both accounts; commands.md section 7.1. */
import { Keypair, PublicKey } from "@solana/web3.js";
import {
  COORDINATOR_ACCOUNT_BYTES,
  initCoordinatorInstructions,
} from "../chain/coordinator_instructions.ts";
import { coordinatorInstanceAddress } from "../chain/pda.ts";
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
}

export interface CreatedRun {
  runId: string;
  instance: string;
  coordinatorAccount: string;
  mainAuthority: string;
  joinAuthority: string;
  /** Lamports locked for storage. */
  rentLamports: number;
  /** Null for a dry run. */
  recordPath: string | null;
  outcome: Outcome;
}

/** Two signatures and some room for a priority fee. */
const FEE_ALLOWANCE = 50_000;

/**
 * The record is written before the transaction and completed after it, so that the accounts of a
 * run are known even when this process dies in between.
 *
 * @throws PsycheError RUN_EXISTS, PROGRAM_NOT_DEPLOYED, BALANCE_TOO_LOW, PREFLIGHT_FAILED,
 * RUN_ID_INVALID, TEXT_TOO_LONG
 */
export async function createRun(
  context: OperatorContext,
  options: CreateRunOptions,
): Promise<CreatedRun> {
  const { connection, programIds, payer, runsDirectory, cluster } = context;
  const { runId, clientVersion, joinAuthority = payer.publicKey } = options;
  runRecordPath(runsDirectory, cluster, runId);
  const instance = coordinatorInstanceAddress(programIds, runId);
  const [accountRent, instanceRent] = await Promise.all([
    connection.getMinimumBalanceForRentExemption(COORDINATOR_ACCOUNT_BYTES),
    connection.getMinimumBalanceForRentExemption(COORDINATOR_INSTANCE_SIZE),
  ]);
  const rentLamports = accountRent + instanceRent;
  throwProblems((await Promise.all([
    checkProgram(context, "coordinator"),
    checkBalance(context, rentLamports + FEE_ALLOWANCE, `creating the run "${runId}"`),
    checkAbsent(context, runId, instance),
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
    },
    coordinatorInstance: instance.toBase58(),
    coordinatorAccount: account.publicKey.toBase58(),
    mainAuthority: payer.publicKey.toBase58(),
    joinAuthority: joinAuthority.toBase58(),
    walletPath: context.walletPath,
    mint: null,
    treasurerIndex: null,
    clientVersion,
    status: "creating",
    signatures: {},
  };
  const instructions = initCoordinatorInstructions({
    ids: programIds,
    payer: payer.publicKey,
    coordinatorAccount: account.publicKey,
    runId,
    clientVersion,
    mainAuthority: payer.publicKey,
    joinAuthority,
    rentLamports: accountRent,
  });
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
    rentLamports,
    recordPath,
    outcome,
  };
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
