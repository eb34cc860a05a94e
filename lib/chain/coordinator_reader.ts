/** Reading runs: docs/protocol/onchain-coordinator.md sections 1 and 6. */
import { type Connection, PublicKey } from "@solana/web3.js";
import { PsycheError } from "../error.ts";
import {
  decodeCoordinatorAccount,
  decodeCoordinatorInstance,
} from "../protocol/coordinator_account.ts";
import type { CoordinatorState } from "../protocol/coordinator_state.ts";
import { clusterOf } from "./connection.ts";
import { coordinatorInstanceAddress } from "./pda.ts";
import type { ProgramIds } from "./programs.ts";

/** The small account that a run id leads to. */
export interface CoordinatorInstance {
  address: PublicKey;
  bump: number;
  mainAuthority: PublicKey;
  joinAuthority: PublicKey;
  coordinatorAccount: PublicKey;
  runId: string;
}

/**
 * Find a run by its id.
 * @throws PsycheError RUN_NOT_FOUND, RUN_ID_INVALID, COORDINATOR_ACCOUNT_INVALID
 */
export async function fetchCoordinatorInstance(
  connection: Connection,
  ids: ProgramIds,
  runId: string,
): Promise<CoordinatorInstance> {
  const address = coordinatorInstanceAddress(ids, runId);
  const account = await connection.getAccountInfo(address);
  if (!account?.owner.equals(ids.coordinator)) {
    throw new PsycheError(
      "RUN_NOT_FOUND",
      `There is no run "${runId}" of the coordinator ${ids.coordinator.toBase58()} on ${
        clusterOf(connection)
      }; check the run id, the cluster and the program id, or create the run first.`,
    );
  }
  const instance = decodeCoordinatorInstance(account.data);
  return {
    address,
    bump: instance.bump,
    mainAuthority: new PublicKey(instance.mainAuthority),
    joinAuthority: new PublicKey(instance.joinAuthority),
    coordinatorAccount: new PublicKey(instance.coordinatorAccount),
    runId: instance.runId,
  };
}

/**
 * Read and decode a coordinator account.
 * @throws PsycheError COORDINATOR_ACCOUNT_MISSING, COORDINATOR_ACCOUNT_INVALID
 */
export async function fetchCoordinator(
  connection: Connection,
  address: PublicKey,
): Promise<{ state: CoordinatorState; slot: number }> {
  const { value, context } = await connection.getAccountInfoAndContext(address);
  if (!value) {
    throw new PsycheError(
      "COORDINATOR_ACCOUNT_MISSING",
      `There is no coordinator account ${address.toBase58()} on ${
        clusterOf(connection)
      }; the run was closed, or the node is behind.`,
    );
  }
  return { state: decodeCoordinatorAccount(value.data), slot: context.slot };
}

export { watchCoordinator, type WatchOptions } from "./watch_coordinator.ts";
