/**
 * Program derived addresses of docs/protocol/onchain-authorizer.md 1, onchain-coordinator.md 1 and
 * onchain-treasurer.md 1.
 */
import { PublicKey } from "@solana/web3.js";
import { Buffer } from "node:buffer";
import { createHash } from "node:crypto";
import { PsycheError } from "../error.ts";
import { type ProgramIds, treasurerId } from "./programs.ts";

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

/** SPL Token, the only token program that the treasurer takes. */
export const TOKEN_PROGRAM_ID = new PublicKey("TokenkegQfeZyiNwAJbNbGKPFXCWuBvf9Ss623VQ5DA");

const ASSOCIATED_TOKEN_PROGRAM_ID = new PublicKey("ATokenGPvbdGVxr1b2hvZbsiqW5xWH25efTNsLJA8knL");

/** The index of the treasurer of a run when its owner gave none: from the SHA-256 of the run id. */
export function treasurerIndex(runId: string): bigint {
  return createHash("sha256").update(runIdBytes(runId)).digest().readBigUInt64LE();
}

/**
 * Address of a treasurer's Run: seeds "Run", index as u64.
 * @throws PsycheError TREASURER_INDEX_INVALID when it is not a u64
 */
export function treasurerRunAddress(ids: ProgramIds, index: bigint): PublicKey {
  if (index < 0n || index >= 1n << 64n) {
    throw new PsycheError(
      "TREASURER_INDEX_INVALID",
      `The treasurer index ${index} is not a whole number from 0 to 2^64 - 1; give such a number, or none to derive it from the run id.`,
    );
  }
  const seed = Buffer.alloc(8);
  seed.writeBigUInt64LE(index);
  return PublicKey.findProgramAddressSync([encoder.encode("Run"), seed], treasurerId(ids))[0];
}

/** Address of a Participant: seeds "Participant", the treasurer's Run, the user. */
export function participantAddress(
  ids: ProgramIds,
  treasurerRun: PublicKey,
  user: PublicKey,
): PublicKey {
  return PublicKey.findProgramAddressSync(
    [encoder.encode("Participant"), treasurerRun.toBytes(), user.toBytes()],
    treasurerId(ids),
  )[0];
}

/** Address of the associated token account of `owner`, also of an owner that is itself derived. */
export function associatedTokenAddress(owner: PublicKey, mint: PublicKey): PublicKey {
  return PublicKey.findProgramAddressSync(
    [owner.toBytes(), TOKEN_PROGRAM_ID.toBytes(), mint.toBytes()],
    ASSOCIATED_TOKEN_PROGRAM_ID,
  )[0];
}
