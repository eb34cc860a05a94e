/** A run as the chain has it. */
import { PublicKey } from "@solana/web3.js";
import { fetchCoordinator, fetchCoordinatorInstance } from "../chain/coordinator_reader.ts";
import { PsycheError } from "../error.ts";
import type { CoordinatorState } from "../protocol/coordinator_state.ts";
import type { OperatorContext } from "./context.ts";

export interface RunOnChain {
  runId: string;
  instance: PublicKey;
  coordinatorAccount: PublicKey;
  mainAuthority: PublicKey;
  joinAuthority: PublicKey;
  state: CoordinatorState;
  slot: number;
}

/** @throws PsycheError RUN_NOT_FOUND */
export async function readRun(
  context: Pick<OperatorContext, "connection" | "programIds">,
  runId: string,
): Promise<RunOnChain> {
  const { connection, programIds } = context;
  const instance = await fetchCoordinatorInstance(connection, programIds, runId);
  const { state, slot } = await fetchCoordinator(connection, instance.coordinatorAccount);
  return {
    runId,
    instance: instance.address,
    coordinatorAccount: instance.coordinatorAccount,
    mainAuthority: instance.mainAuthority,
    joinAuthority: instance.joinAuthority,
    state,
    slot,
  };
}

/** NOT_RUN_OWNER unless the paying wallet is the run's main authority. */
export function checkOwner(context: OperatorContext, run: RunOnChain): PsycheError[] {
  if (run.mainAuthority.equals(context.payer.publicKey)) return [];
  return [
    new PsycheError(
      "NOT_RUN_OWNER",
      `The run "${run.runId}" belongs to ${run.mainAuthority.toBase58()} and the wallet is ` +
        `${context.payer.publicKey.toBase58()}; give the owner's keypair file.`,
    ),
  ];
}

/** Accounts of an owner instruction of the run. */
export function ownerAccounts(context: OperatorContext, run: RunOnChain) {
  return {
    ids: context.programIds,
    runId: run.runId,
    coordinatorAccount: run.coordinatorAccount,
    authority: context.payer.publicKey,
  };
}
