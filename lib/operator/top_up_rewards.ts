/** Puts collateral into a run's treasurer; docs/protocol/commands.md section 8.1. */
import {
  createAssociatedTokenAccountIdempotentInstruction,
  createTransferCheckedInstruction,
} from "@solana/spl-token";
import { associatedTokenAddress } from "../chain/pda.ts";
import { fetchTokenBalance } from "../chain/token.ts";
import { PsycheError } from "../error.ts";
import type { OperatorContext } from "./context.ts";
import { checkBalance } from "./preflight.ts";
import { throwProblems } from "./problems.ts";
import { readRun } from "./read_run.ts";
import { type Outcome, submit } from "./submit.ts";
import {
  formatTokenAmount,
  parseTokenAmount,
  type TokenAmount,
  tokenAmount,
} from "./token_amount.ts";
import { requireTreasury } from "./treasury.ts";

export interface TopUpResult {
  runId: string;
  treasurer: string;
  /** Of the treasurer; decimal text. */
  index: string;
  mint: string;
  amount: TokenAmount;
  treasurerBefore: TokenAmount;
  treasurerAfter: TokenAmount;
  userBefore: TokenAmount;
  outcome: Outcome;
}

/**
 * Anybody may do this; the tokens come from the wallet's associated account.
 *
 * @param options.amount text; a bare whole number counts base units
 * @throws PsycheError RUN_NOT_FOUND, RUN_HAS_NO_TREASURER, TOKEN_AMOUNT_INVALID, TOKENS_TOO_FEW,
 * BALANCE_TOO_LOW, PREFLIGHT_FAILED
 */
export async function topUpRewards(
  context: OperatorContext,
  options: { runId: string; amount: string; treasurerIndex?: bigint },
): Promise<TopUpResult> {
  const { connection, payer, cluster } = context;
  const { runId } = options;
  const run = await readRun(context, runId, options.treasurerIndex);
  const { treasurer, mint, decimals, vault } = await requireTreasury(context, run);
  const amount = parseTokenAmount(options.amount, decimals, "raw");
  const source = associatedTokenAddress(payer.publicKey, mint);
  const held = await fetchTokenBalance(connection, source);
  throwProblems([
    ...((held ?? 0n) >= amount.raw && held !== null ? [] : [
      new PsycheError(
        "TOKENS_TOO_FEW",
        `The wallet ${payer.publicKey.toBase58()} holds ` +
          `${
            formatTokenAmount(tokenAmount(held ?? 0n, decimals))
          } of the mint ${mint.toBase58()} on ` +
          `${cluster} and ${
            formatTokenAmount(amount)
          } are to be paid in; send it tokens, or pay less.`,
      ),
    ]),
    ...await checkBalance(context, 10_000, "the top-up"),
  ]);
  const outcome = await submit(context, {
    label: `top up the rewards of run "${runId}"`,
    instructions: [
      // The account is made with the run; it is only made again should somebody have found a way to close it.
      createAssociatedTokenAccountIdempotentInstruction(
        payer.publicKey,
        treasurer.collateralAccount,
        treasurer.address,
        mint,
      ),
      createTransferCheckedInstruction(
        source,
        mint,
        treasurer.collateralAccount,
        payer.publicKey,
        amount.raw,
        decimals,
      ),
    ],
  });
  const now = outcome.dryRun
    ? vault
    : await fetchTokenBalance(connection, treasurer.collateralAccount);
  return {
    runId,
    treasurer: treasurer.address.toBase58(),
    index: treasurer.index.toString(),
    mint: mint.toBase58(),
    amount,
    treasurerBefore: tokenAmount(vault, decimals),
    treasurerAfter: tokenAmount(now ?? 0n, decimals),
    userBefore: tokenAmount(held ?? 0n, decimals),
    outcome,
  };
}
