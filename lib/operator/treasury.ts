/** The money side of a run with rewards: mint, decimals, what is in the treasurer's account. */
import type { PublicKey } from "@solana/web3.js";
import { fetchMintDecimals, fetchTokenBalance } from "../chain/token.ts";
import type { TreasurerRun } from "../chain/treasurer.ts";
import { PsycheError } from "../error.ts";
import type { ReaderContext } from "./context.ts";
import type { RunOnChain } from "./read_run.ts";

export interface Treasury {
  treasurer: TreasurerRun;
  mint: PublicKey;
  decimals: number;
  /** Base units in the treasurer's token account. */
  vault: bigint;
}

/** Null for a run without a treasurer. */
export async function findTreasury(
  { connection }: Pick<ReaderContext, "connection">,
  { treasurer }: RunOnChain,
): Promise<Treasury | null> {
  if (treasurer === null) return null;
  const mint = treasurer.collateralMint;
  const [decimals, vault] = await Promise.all([
    fetchMintDecimals(connection, mint),
    fetchTokenBalance(connection, treasurer.collateralAccount),
  ]);
  return { treasurer, mint, decimals, vault: vault ?? 0n };
}

/** @throws PsycheError RUN_HAS_NO_TREASURER */
export async function requireTreasury(
  context: Pick<ReaderContext, "connection">,
  run: RunOnChain,
): Promise<Treasury> {
  const treasury = await findTreasury(context, run);
  if (treasury !== null) return treasury;
  throw new PsycheError(
    "RUN_HAS_NO_TREASURER",
    `The run "${run.runId}" has no treasurer, so it has no mint and pays no rewards; create one with ` +
      `create-run --treasurer-collateral-mint, or give its --treasurer-index.`,
  );
}
