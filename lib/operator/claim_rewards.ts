/** Pays a client what it earned; docs/protocol/commands.md section 8.2. */
import { createAssociatedTokenAccountIdempotentInstruction } from "@solana/spl-token";
import { associatedTokenAddress } from "../chain/pda.ts";
import { fetchTokenBalance } from "../chain/token.ts";
import {
  claimablePoints,
  fetchParticipant,
  participantClaimInstruction,
  participantCreateInstruction,
} from "../chain/treasurer.ts";
import { equalBytes } from "../protocol/bytes.ts";
import type { OperatorContext } from "./context.ts";
import { checkBalance } from "./preflight.ts";
import { throwProblems } from "./problems.ts";
import { readRun } from "./read_run.ts";
import { type Outcome, submit } from "./submit.ts";
import { type TokenAmount, tokenAmount } from "./token_amount.ts";
import { requireTreasury } from "./treasury.ts";

export interface ClaimResult {
  runId: string;
  treasurer: string;
  /** Of the treasurer; decimal text. */
  index: string;
  mint: string;
  user: string;
  /** Points of the wallet in the run; one point is one base unit. */
  earnedPoints: bigint;
  claimedBefore: bigint;
  claimed: TokenAmount;
  /** Earned, not claimed, and not covered by the treasurer's account. */
  missing: TokenAmount;
  treasurerBefore: TokenAmount;
  userBefore: TokenAmount;
  userAfter: TokenAmount;
  /** Null: there was nothing to claim. */
  outcome: Outcome | null;
}

/** Two small accounts and a fee. */
const MOST_COST = 4_500_000;

/**
 * Claims as much as is earned and there. The wallet's token account and its participant account are
 * made in the same transaction when they are missing.
 *
 * @throws PsycheError RUN_NOT_FOUND, RUN_HAS_NO_TREASURER, BALANCE_TOO_LOW
 */
export async function claimRewards(
  context: OperatorContext,
  options: { runId: string; treasurerIndex?: bigint; maxClaimedPoints?: bigint },
): Promise<ClaimResult> {
  const { connection, programIds: ids, payer } = context;
  const { runId, maxClaimedPoints } = options;
  const user = payer.publicKey;
  const run = await readRun(context, runId, options.treasurerIndex);
  const { treasurer, mint, decimals, vault } = await requireTreasury(context, run);
  const accounts = { ids, runId, index: treasurer.index, user };
  const target = associatedTokenAddress(user, mint);
  const [participant, held] = await Promise.all([
    fetchParticipant(connection, accounts),
    fetchTokenBalance(connection, target),
  ]);
  const client = run.state.clientsState.clients
    .find(({ id }) => equalBytes(id.signer, user.toBytes()));
  const earned = client?.earned ?? 0n;
  const claimedBefore = participant?.claimedEarnedPoints ?? 0n;
  const claimable = claimablePoints({ earned, claimed: claimedBefore, vault });
  const claim = maxClaimedPoints !== undefined && maxClaimedPoints < claimable
    ? maxClaimedPoints
    : claimable;
  const unclaimed = earned > claimedBefore ? earned - claimedBefore : 0n;
  const amount = (raw: bigint) => tokenAmount(raw, decimals);
  const described = {
    runId,
    treasurer: treasurer.address.toBase58(),
    index: treasurer.index.toString(),
    mint: mint.toBase58(),
    user: user.toBase58(),
    earnedPoints: earned,
    claimedBefore,
    claimed: amount(claim),
    missing: amount(unclaimed > vault ? unclaimed - vault : 0n),
    treasurerBefore: amount(vault),
    userBefore: amount(held ?? 0n),
  };
  if (claim === 0n) return { ...described, userAfter: amount(held ?? 0n), outcome: null };
  throwProblems(await checkBalance(context, MOST_COST, "claiming rewards"));
  const outcome = await submit(context, {
    label: `claim the rewards of run "${runId}"`,
    instructions: [
      ...(held === null
        ? [createAssociatedTokenAccountIdempotentInstruction(user, target, user, mint)]
        : []),
      ...(participant === null ? [participantCreateInstruction({ ...accounts, payer: user })] : []),
      participantClaimInstruction({
        ...accounts,
        collateralMint: mint,
        coordinatorAccount: run.coordinatorAccount,
        claimEarnedPoints: claim,
      }),
    ],
  });
  const now = outcome.dryRun ? held : await fetchTokenBalance(connection, target);
  return { ...described, userAfter: amount(now ?? 0n), outcome };
}
