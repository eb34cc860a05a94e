/** What clients earn and lose in epochs to come; docs/protocol/commands.md section 7.7. */
import { PsycheError } from "../error.ts";
import type { OperatorContext } from "./context.ts";
import { ownerInstructions } from "./owner_change.ts";
import { checkBalance } from "./preflight.ts";
import { throwProblems } from "./problems.ts";
import { checkOwner, readRun, type RunOnChain } from "./read_run.ts";
import { type Outcome, submit } from "./submit.ts";
import { parseTokenAmount, type TokenAmount, tokenAmount } from "./token_amount.ts";
import { findTreasury } from "./treasury.ts";

export interface RateOptions {
  runId: string;
  treasurerIndex?: bigint;
  /** Points, one base unit of the collateral each. */
  earningRate?: bigint;
  slashingRate?: bigint;
  /** Tokens, or base units with the ending `raw`; only for runs with a treasurer. */
  earningTokens?: string;
  slashingTokens?: string;
}

export interface RatesResult {
  runId: string;
  /** Shared by the clients that finish an epoch. Amounts in tokens are null without a treasurer. */
  earningRateTotalShared: Rate;
  /** Lost by each client that fails. */
  slashingRatePerClient: Rate;
  /** Null: these are the rates already. */
  outcome: Outcome | null;
}

export interface Rate {
  before: bigint;
  after: bigint;
  tokens: TokenAmount | null;
}

/**
 * @throws PsycheError RUN_NOT_FOUND, NOT_RUN_OWNER, RATE_NEEDS_TREASURER, TOKEN_AMOUNT_INVALID,
 * RUN_FINISHED, BALANCE_TOO_LOW
 */
export async function setRates(
  context: OperatorContext,
  options: RateOptions,
): Promise<RatesResult> {
  const { runId } = options;
  const run = await readRun(context, runId, options.treasurerIndex);
  const treasury = await findTreasury(context, run);
  const wanted = (points: bigint | undefined, tokens: string | undefined): bigint | null => {
    if (tokens === undefined) return points ?? null;
    if (treasury === null) throw needsTreasurer(run);
    return parseTokenAmount(tokens, treasury.decimals, "ui").raw;
  };
  const earning = wanted(options.earningRate, options.earningTokens);
  const slashing = wanted(options.slashingRate, options.slashingTokens);
  const present = run.state.clientsState.futureEpochRates;
  const rate = (before: bigint, change: bigint | null): Rate => {
    const after = change ?? before;
    return { before, after, tokens: treasury && tokenAmount(after, treasury.decimals) };
  };
  const result = {
    runId,
    earningRateTotalShared: rate(present.earningRateTotalShared, earning),
    slashingRatePerClient: rate(present.slashingRatePerClient, slashing),
  };
  const rates = [result.earningRateTotalShared, result.slashingRatePerClient];
  if (rates.every(({ before, after }) => before === after)) return { ...result, outcome: null };
  throwProblems([
    ...checkOwner(context, run),
    ...await checkBalance(context, 10_000, "setting the rates"),
  ]);
  const outcome = await submit(context, {
    label: `set the rates of run "${runId}"`,
    instructions: ownerInstructions(context, run, {
      earningRateTotalShared: earning,
      slashingRatePerClient: slashing,
    }),
  });
  return { ...result, outcome };
}

function needsTreasurer({ runId }: RunOnChain): PsycheError {
  return new PsycheError(
    "RATE_NEEDS_TREASURER",
    `The run "${runId}" has no treasurer, so there is no token to count its rates in; give them in ` +
      `points with --earning-rate and --slashing-rate.`,
  );
}
