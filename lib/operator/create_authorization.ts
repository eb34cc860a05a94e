/** Lets a grantee, or everybody, join the runs of a join authority; commands.md section 6. */
import type { Keypair, PublicKey } from "@solana/web3.js";
import {
  authorizationCreateInstruction,
  authorizationGrantorUpdateInstruction,
  fetchAuthorization,
} from "../chain/authorizer.ts";
import { authorizationAddress } from "../chain/pda.ts";
import type { OperatorContext } from "./context.ts";
import { checkBalance, checkProgram } from "./preflight.ts";
import { throwProblems } from "./problems.ts";
import { type Outcome, submit } from "./submit.ts";

export interface JoinAuthorization {
  authorization: string;
  grantor: string;
  grantee: string;
  /** What had to be done; null means that it existed and was active. */
  action: "create and activate" | "activate" | null;
  outcome: Outcome | null;
}

const AUTHORIZATION_COST = 3_000_000;

/**
 * Creates and activates in one transaction; activates an inactive one; leaves an active one alone.
 *
 * @param grantor signs; the payer of the context pays
 */
export async function createJoinAuthorization(
  context: OperatorContext,
  options: { grantor: Keypair; grantee: PublicKey },
): Promise<JoinAuthorization> {
  const { connection, programIds, payer } = context;
  const { grantor, grantee } = options;
  throwProblems((await Promise.all([
    checkProgram(context, "authorizer"),
    checkBalance(context, AUTHORIZATION_COST, "creating a join authorization"),
  ])).flat());
  const address = authorizationAddress(programIds, grantor.publicKey, grantee);
  const described = {
    authorization: address.toBase58(),
    grantor: grantor.publicKey.toBase58(),
    grantee: grantee.toBase58(),
  };
  const existing = await fetchAuthorization(connection, programIds, address);
  if (existing?.active) return { ...described, action: null, outcome: null };
  const accounts = { ids: programIds, grantor: grantor.publicKey, authorization: address };
  const activate = authorizationGrantorUpdateInstruction({ ...accounts, active: true });
  const create = authorizationCreateInstruction({
    ids: programIds,
    payer: payer.publicKey,
    grantor: grantor.publicKey,
    grantee,
  });
  const action = existing === null ? "create and activate" : "activate";
  const outcome = await submit(context, {
    label: `${action} the join authorization`,
    instructions: existing === null ? [create, activate] : [activate],
    signers: grantor.publicKey.equals(payer.publicKey) ? [] : [grantor],
  });
  return { ...described, action, outcome };
}
