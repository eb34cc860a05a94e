/** Changing and reading join authorizations; docs/protocol/commands.md sections 6.2, 6.4-6.6. */
import type { PublicKey } from "@solana/web3.js";
import {
  type Authorization,
  authorizationCloseInstruction,
  authorizationGranteeUpdateInstruction,
  authorizationGrantorUpdateInstruction,
  fetchAuthorization,
} from "../chain/authorizer.ts";
import { authorizationAddress } from "../chain/pda.ts";
import { PsycheError } from "../error.ts";
import { chunks } from "./chunks.ts";
import type { OperatorContext, ReaderContext } from "./context.ts";
import { checkBalance } from "./preflight.ts";
import { throwProblems } from "./problems.ts";
import { type Outcome, submit } from "./submit.ts";

export interface AuthorizationView {
  authorization: string;
  grantor: string;
  grantee: string;
  active: boolean;
  delegates: string[];
}

/** Delegates that one transaction can carry. */
const DELEGATES_PER_TRANSACTION = 28;
const FEE_ALLOWANCE = 10_000;
/** Rent of one more delegate, with room to spare. */
const LAMPORTS_PER_DELEGATE = 300_000;

/** @throws PsycheError AUTHORIZATION_NOT_FOUND */
export async function readAuthorization(
  context: ReaderContext,
  grantor: PublicKey,
  grantee: PublicKey,
): Promise<AuthorizationView> {
  const { authorization, address } = await findAuthorization(context, grantor, grantee);
  return {
    authorization: address.toBase58(),
    grantor: grantor.toBase58(),
    grantee: grantee.toBase58(),
    active: authorization.active,
    delegates: authorization.delegates.map((key) => key.toBase58()),
  };
}

/**
 * Lets keys act for the paying wallet, which is the grantee. Keys that are delegates already are not
 * added again; many keys take several transactions.
 * @throws PsycheError AUTHORIZATION_NOT_FOUND
 */
export async function setDelegates(
  context: OperatorContext,
  options: { grantor: PublicKey; clear: boolean; added: PublicKey[] },
): Promise<{ view: AuthorizationView; added: string[]; outcomes: Outcome[] }> {
  const { programIds: ids, payer } = context;
  const { grantor, clear } = options;
  const grantee = payer.publicKey;
  const { authorization, address } = await findAuthorization(context, grantor, grantee);
  const present = clear ? [] : authorization.delegates;
  const added = options.added.filter((key, i) =>
    !present.some((other) => other.equals(key)) &&
    options.added.findIndex((other) => other.equals(key)) === i
  );
  const cost = FEE_ALLOWANCE + LAMPORTS_PER_DELEGATE * added.length;
  throwProblems(await checkBalance(context, cost, "changing the delegates"));
  const outcomes: Outcome[] = [];
  const parts = chunks(added, DELEGATES_PER_TRANSACTION);
  if (clear && parts.length === 0 && authorization.delegates.length > 0) parts.push([]);
  for (const [i, part] of parts.entries()) {
    const outcome = await submit(context, {
      label: "change the delegates",
      instructions: [
        authorizationGranteeUpdateInstruction({
          ids,
          payer: payer.publicKey,
          grantee,
          authorization: address,
          delegatesClear: clear && i === 0,
          delegatesAdded: part,
        }),
      ],
    });
    outcomes.push(outcome);
  }
  const view = await readAuthorization(context, grantor, grantee);
  return { view, added: added.map((key) => key.toBase58()), outcomes };
}

/**
 * Switches an authorization of the paying wallet off; on request its account is closed too, so that
 * its rent comes back.
 * @throws PsycheError AUTHORIZATION_NOT_FOUND
 */
export async function revokeAuthorization(
  context: OperatorContext,
  options: { grantee: PublicKey; close: boolean },
): Promise<{ view: AuthorizationView; closed: boolean; outcome: Outcome | null }> {
  const { programIds: ids, payer } = context;
  const grantor = payer.publicKey;
  const view = await readAuthorization(context, grantor, options.grantee);
  const authorization = authorizationAddress(ids, grantor, options.grantee);
  const instructions = [
    ...(view.active
      ? [authorizationGrantorUpdateInstruction({ ids, grantor, authorization, active: false })]
      : []),
    ...(options.close
      ? [authorizationCloseInstruction({ ids, grantor, spill: grantor, authorization })]
      : []),
  ];
  if (instructions.length === 0) return { view, closed: false, outcome: null };
  throwProblems(await checkBalance(context, FEE_ALLOWANCE, "switching the authorization off"));
  const label = `${options.close ? "close" : "switch off"} the join authorization`;
  const outcome = await submit(context, { label, instructions });
  if (outcome.dryRun) return { view, closed: false, outcome };
  return { view: { ...view, active: false }, closed: options.close, outcome };
}

async function findAuthorization(
  { connection, programIds, cluster }: ReaderContext,
  grantor: PublicKey,
  grantee: PublicKey,
): Promise<{ authorization: Authorization; address: PublicKey }> {
  const address = authorizationAddress(programIds, grantor, grantee);
  const authorization = await fetchAuthorization(connection, programIds, address);
  if (authorization !== null) return { authorization, address };
  throw new PsycheError(
    "AUTHORIZATION_NOT_FOUND",
    `${grantor.toBase58()} has given ${grantee.toBase58()} no join authorization on ${cluster}; ` +
      `the grantor makes one with join-authorization-create.`,
  );
}
