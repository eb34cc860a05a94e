/** SPL tokens as the treasurer uses them: mints and associated accounts of the original token program. */
import type { Connection, PublicKey } from "@solana/web3.js";
import { PsycheError } from "../error.ts";
import { clusterOf } from "./connection.ts";
import { TOKEN_PROGRAM_ID } from "./pda.ts";

/** Sizes and offsets of the token program's accounts. */
const MINT_BYTES = 82;
const MINT_DECIMALS_AT = 44;
const MINT_INITIALIZED_AT = 45;
const ACCOUNT_BYTES = 165;
const ACCOUNT_AMOUNT_AT = 64;

/** Digits after the point of a mint. @throws PsycheError MINT_NOT_FOUND */
export async function fetchMintDecimals(connection: Connection, mint: PublicKey): Promise<number> {
  const account = await connection.getAccountInfo(mint);
  const { data } = account ?? {};
  if (
    !data || !account!.owner.equals(TOKEN_PROGRAM_ID) || data.length !== MINT_BYTES ||
    data[MINT_INITIALIZED_AT] !== 1
  ) {
    throw new PsycheError(
      "MINT_NOT_FOUND",
      `${mint.toBase58()} is no mint of the SPL Token program on ${clusterOf(connection)}; check ` +
        `the address and the cluster (Token-2022 mints do not work as collateral).`,
    );
  }
  return data[MINT_DECIMALS_AT];
}

/** Base units in a token account; null when there is no such account. */
export async function fetchTokenBalance(
  connection: Connection,
  address: PublicKey,
): Promise<bigint | null> {
  const account = await connection.getAccountInfo(address);
  if (!account?.owner.equals(TOKEN_PROGRAM_ID) || account.data.length !== ACCOUNT_BYTES) {
    return null;
  }
  const { data } = account;
  return new DataView(data.buffer, data.byteOffset, data.length)
    .getBigUint64(ACCOUNT_AMOUNT_AT, true);
}
