/** Authorizations: who may use a role, docs/protocol/onchain-authorizer.md. */
import { type Connection, PublicKey, type TransactionInstruction } from "@solana/web3.js";
import { Buffer } from "node:buffer";
import { PsycheError } from "../error.ts";
import { instructionBuilder } from "./idl_instruction.ts";
import { authorizationAddress, JOIN_SCOPE } from "./pda.ts";
import { authorizerIdl, defaultProgramIds, type ProgramIds } from "./programs.ts";

/** The account, section 2. */
export interface Authorization {
  bump: number;
  grantor: PublicKey;
  /** `PublicKey.default` stands for everybody. */
  grantee: PublicKey;
  scope: Uint8Array;
  active: boolean;
  delegates: PublicKey[];
  /** Unix seconds, 0 before the first update by the grantor. */
  grantorUpdateUnixTimestamp: bigint;
}

/** A grantee that stands for everybody. */
export const EVERYBODY: PublicKey = PublicKey.default;

const DISCRIMINATOR = Uint8Array.of(0x03, 0x44, 0xa8, 0xf3, 0xc3, 0xa8, 0x20, 0x4b);

const build = instructionBuilder(authorizerIdl);

/** 4.1: create an authorization; it is inactive until the grantor activates it. */
export function authorizationCreateInstruction(options: {
  ids?: ProgramIds;
  payer: PublicKey;
  grantor: PublicKey;
  grantee: PublicKey;
  scope?: Uint8Array;
}): TransactionInstruction {
  const { ids = defaultProgramIds(), payer, grantor, grantee, scope = JOIN_SCOPE } = options;
  return build(ids.authorizer, "authorization_create", { grantee, scope: Buffer.from(scope) }, {
    payer,
    grantor,
    authorization: authorizationAddress(ids, grantor, grantee, scope),
  });
}

/** 4.2: switch on or off. */
export function authorizationGrantorUpdateInstruction(options: {
  ids?: ProgramIds;
  grantor: PublicKey;
  authorization: PublicKey;
  active: boolean;
}): TransactionInstruction {
  const { ids = defaultProgramIds(), grantor, authorization, active } = options;
  return build(ids.authorizer, "authorization_grantor_update", { active }, {
    grantor,
    authorization,
  });
}

/** 4.3: clear and/or add the keys that may act for the grantee. */
export function authorizationGranteeUpdateInstruction(options: {
  ids?: ProgramIds;
  payer: PublicKey;
  grantee: PublicKey;
  authorization: PublicKey;
  delegatesClear: boolean;
  delegatesAdded: PublicKey[];
}): TransactionInstruction {
  const { ids = defaultProgramIds(), payer, grantee, authorization } = options;
  return build(ids.authorizer, "authorization_grantee_update", {
    delegates_clear: options.delegatesClear,
    delegates_added: options.delegatesAdded,
  }, { payer, grantee, authorization });
}

/** 4.4: close an inactive authorization; its lamports go to `spill`. */
export function authorizationCloseInstruction(options: {
  ids?: ProgramIds;
  grantor: PublicKey;
  spill: PublicKey;
  authorization: PublicKey;
}): TransactionInstruction {
  const { ids = defaultProgramIds(), grantor, spill, authorization } = options;
  return build(ids.authorizer, "authorization_close", {}, { grantor, spill, authorization });
}

/**
 * Decode the account data, section 2.
 * @throws PsycheError AUTHORIZATION_INVALID
 */
export function decodeAuthorization(data: Uint8Array): Authorization {
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  const fail = (problem: string) =>
    new PsycheError(
      "AUTHORIZATION_INVALID",
      `The account is not an authorization (${problem}); check its address and the authorizer program id.`,
    );
  if (data.length < 90) throw fail(`${data.length} bytes, at least 90 needed`);
  if (!DISCRIMINATOR.every((byte, i) => data[i] === byte)) throw fail("wrong discriminator");
  const scopeLength = view.getUint32(73, true);
  if (scopeLength > 32) throw fail(`scope of ${scopeLength} bytes`);
  const afterScope = 77 + scopeLength;
  if (data.length < afterScope + 13) throw fail("cut off");
  const delegateCount = view.getUint32(afterScope + 1, true);
  const delegatesAt = afterScope + 5;
  if (data.length < delegatesAt + 32 * delegateCount + 8) {
    throw fail(`no room for ${delegateCount} delegates`);
  }
  const key = (at: number) => new PublicKey(data.slice(at, at + 32));
  return {
    bump: data[8],
    grantor: key(9),
    grantee: key(41),
    scope: new Uint8Array(data.subarray(77, afterScope)), // a Buffer's slice would be no copy
    active: data[afterScope] === 1,
    delegates: Array.from({ length: delegateCount }, (_, i) => key(delegatesAt + 32 * i)),
    grantorUpdateUnixTimestamp: view.getBigInt64(delegatesAt + 32 * delegateCount, true),
  };
}

/**
 * Read an authorization; `null` when there is no such account.
 * @throws PsycheError AUTHORIZATION_INVALID when the account is something else
 */
export async function fetchAuthorization(
  connection: Connection,
  ids: ProgramIds,
  address: PublicKey,
): Promise<Authorization | null> {
  const account = await connection.getAccountInfo(address);
  if (!account || account.lamports === 0) return null;
  if (!account.owner.equals(ids.authorizer)) {
    throw new PsycheError(
      "AUTHORIZATION_INVALID",
      `${address.toBase58()} belongs to the program ${account.owner.toBase58()}, not to the authorizer ${ids.authorizer.toBase58()}; check the program ids.`,
    );
  }
  return decodeAuthorization(account.data);
}

/** May `user` use the role `scope` of `grantor` through this authorization? Section 2. */
export function isAuthorizationValidFor(
  authorization: Authorization,
  grantor: PublicKey,
  user: PublicKey,
  scope: Uint8Array = JOIN_SCOPE,
): boolean {
  const { grantee, delegates } = authorization;
  return authorization.active &&
    authorization.grantor.equals(grantor) &&
    authorization.scope.length === scope.length &&
    authorization.scope.every((byte, i) => byte === scope[i]) &&
    (grantee.equals(EVERYBODY) || grantee.equals(user) ||
      delegates.some((delegate) => delegate.equals(user)));
}

/**
 * The authorization with which `user` can join runs of `joinAuthority`: the one for everybody, else
 * the user's own, else the one of `authorizer` (section 6). `null` when none exists and is valid.
 */
export async function findJoinAuthorization(
  connection: Connection,
  ids: ProgramIds,
  joinAuthority: PublicKey,
  user: PublicKey,
  authorizer?: PublicKey,
): Promise<PublicKey | null> {
  const grantees = [EVERYBODY, user, ...(authorizer ? [authorizer] : [])];
  const addresses = grantees.map((grantee) => authorizationAddress(ids, joinAuthority, grantee));
  const accounts = await connection.getMultipleAccountsInfo(addresses);
  const found = accounts.findIndex((account) => {
    if (!account?.owner.equals(ids.authorizer)) return false;
    return isAuthorizationValidFor(decodeAuthorization(account.data), joinAuthority, user);
  });
  return found < 0 ? null : addresses[found];
}
