/** Program derived addresses of docs/protocol/onchain-authorizer.md 1 and onchain-coordinator.md 1. */
import { PublicKey } from "@solana/web3.js";
import { PsycheError } from "../error.ts";
import type { ProgramIds } from "./programs.ts";

const encoder = new TextEncoder();

/** Scope of an authorization that lets its grantee join runs. */
export const JOIN_SCOPE: Uint8Array = encoder.encode("CoordinatorJoinRun");

/** Longest run id, in UTF-8 bytes. */
export const MAX_RUN_ID_BYTES = 32;

/**
 * The UTF-8 bytes of a run id.
 * @throws PsycheError RUN_ID_INVALID when empty or above 32 bytes.
 */
export function runIdBytes(runId: string): Uint8Array {
  const bytes = encoder.encode(runId);
  if (bytes.length === 0 || bytes.length > MAX_RUN_ID_BYTES) {
    throw new PsycheError(
      "RUN_ID_INVALID",
      `The run id "${
        runId.slice(0, 80)
      }" has ${bytes.length} bytes; give one of 1 to ${MAX_RUN_ID_BYTES} bytes.`,
    );
  }
  return bytes;
}

/** Address of the CoordinatorInstance of a run: seeds "coordinator", run id. */
export function coordinatorInstanceAddress(ids: ProgramIds, runId: string): PublicKey {
  return PublicKey.findProgramAddressSync(
    [encoder.encode("coordinator"), runIdBytes(runId)],
    ids.coordinator,
  )[0];
}

/**
 * Address of an Authorization: seeds "Authorization", grantor, grantee, scope.
 * `PublicKey.default` as grantee means "everybody".
 */
export function authorizationAddress(
  ids: ProgramIds,
  grantor: PublicKey,
  grantee: PublicKey,
  scope: Uint8Array = JOIN_SCOPE,
): PublicKey {
  if (scope.length > 32) {
    throw new PsycheError(
      "SCOPE_TOO_LONG",
      `The authorization scope has ${scope.length} bytes; a scope has at most 32.`,
    );
  }
  return PublicKey.findProgramAddressSync(
    [encoder.encode("Authorization"), grantor.toBytes(), grantee.toBytes(), scope],
    ids.authorizer,
  )[0];
}
