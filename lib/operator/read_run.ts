/** A run as the chain has it. */
import type { PublicKey } from "@solana/web3.js";
import { fetchCoordinator, fetchCoordinatorInstance } from "../chain/coordinator_reader.ts";
import { treasurerIndex, treasurerRunAddress } from "../chain/pda.ts";
import { fetchTreasurerRun, type TreasurerRun } from "../chain/treasurer.ts";
import { PsycheError } from "../error.ts";
import type { CoordinatorState } from "../protocol/coordinator_state.ts";
import type { OperatorContext } from "./context.ts";

export interface RunOnChain {
  runId: string;
  instance: PublicKey;
  coordinatorAccount: PublicKey;
  mainAuthority: PublicKey;
  joinAuthority: PublicKey;
  /** Null for a run without rewards. */
  treasurer: TreasurerRun | null;
  state: CoordinatorState;
  slot: number;
}

/**
 * A run has a treasurer when the treasurer's address is the run's main authority: that, unlike the
 * lamports of that address, nobody else can bring about.
 *
 * @param index of the treasurer, where it is not derived from the run id
 * @throws PsycheError RUN_NOT_FOUND, TREASURER_NOT_FOUND when an index was given and is not the run's
 */
export async function readRun(
  context: Pick<OperatorContext, "connection" | "programIds">,
  runId: string,
  index?: bigint,
): Promise<RunOnChain> {
  const { connection, programIds: ids } = context;
  const instance = await fetchCoordinatorInstance(connection, ids, runId);
  const address = treasurerRunAddress(ids, index ?? treasurerIndex(runId));
  const treasurer = address.equals(instance.mainAuthority)
    ? await fetchTreasurerRun(connection, { ids, runId, index })
    : null;
  if (index !== undefined && treasurer === null) {
    throw new PsycheError(
      "TREASURER_NOT_FOUND",
      `The run "${runId}" has no treasurer with the index ${index}; its main authority is ` +
        `${instance.mainAuthority.toBase58()}. Leave --treasurer-index out, or give the right one.`,
    );
  }
  const { state, slot } = await fetchCoordinator(connection, instance.coordinatorAccount);
  return {
    runId,
    instance: instance.address,
    coordinatorAccount: instance.coordinatorAccount,
    mainAuthority: instance.mainAuthority,
    joinAuthority: instance.joinAuthority,
    treasurer,
    state,
    slot,
  };
}

/** Whose signature changes the run: with a treasurer, its operator. */
export function ownerOf(run: RunOnChain): PublicKey {
  return run.treasurer?.mainAuthority ?? run.mainAuthority;
}

/** NOT_RUN_OWNER unless the paying wallet owns the run. */
export function checkOwner(context: OperatorContext, run: RunOnChain): PsycheError[] {
  const owner = ownerOf(run);
  if (owner.equals(context.payer.publicKey)) return [];
  return [
    new PsycheError(
      "NOT_RUN_OWNER",
      `The run "${run.runId}" belongs to ${owner.toBase58()} and the wallet is ` +
        `${context.payer.publicKey.toBase58()}; give the owner's keypair file.`,
    ),
  ];
}
