/** Makes a token that can be the collateral of test runs; docs/protocol/commands.md section 2.3. */
import {
  createAssociatedTokenAccountInstruction,
  createInitializeMint2Instruction,
  createMintToInstruction,
  MINT_SIZE,
  TOKEN_PROGRAM_ID,
} from "@solana/spl-token";
import { Keypair, SystemProgram } from "@solana/web3.js";
import { associatedTokenAddress } from "../chain/pda.ts";
import type { OperatorContext } from "./context.ts";
import { checkBalance } from "./preflight.ts";
import { throwProblems } from "./problems.ts";
import { type Outcome, submit } from "./submit.ts";
import { type TokenAmount, tokenAmount } from "./token_amount.ts";

export interface CreatedToken {
  mint: string;
  decimals: number;
  /** Associated account of the wallet, which holds the whole supply. */
  tokenAccount: string;
  supply: TokenAmount;
  outcome: Outcome;
}

/** Room for the account of the supply and the fee. */
const ACCOUNT_COST = 2_100_000;

/**
 * The paying wallet may mint more of it; nobody may freeze accounts.
 *
 * @param options.supply base units
 * @throws PsycheError BALANCE_TOO_LOW
 */
export async function createToken(
  context: OperatorContext,
  options: { decimals: number; supply: bigint },
): Promise<CreatedToken> {
  const { connection, payer } = context;
  const { decimals, supply } = options;
  const owner = payer.publicKey;
  const lamports = await connection.getMinimumBalanceForRentExemption(MINT_SIZE);
  throwProblems(await checkBalance(context, lamports + ACCOUNT_COST, "creating a token"));
  const mint = Keypair.generate();
  const tokenAccount = associatedTokenAddress(owner, mint.publicKey);
  const outcome = await submit(context, {
    label: "create a token",
    instructions: [
      SystemProgram.createAccount({
        fromPubkey: owner,
        newAccountPubkey: mint.publicKey,
        lamports,
        space: MINT_SIZE,
        programId: TOKEN_PROGRAM_ID,
      }),
      createInitializeMint2Instruction(mint.publicKey, decimals, owner, null),
      createAssociatedTokenAccountInstruction(owner, tokenAccount, owner, mint.publicKey),
      createMintToInstruction(mint.publicKey, tokenAccount, owner, supply),
    ],
    signers: [mint],
  });
  return {
    mint: mint.publicKey.toBase58(),
    decimals,
    tokenAccount: tokenAccount.toBase58(),
    supply: tokenAmount(supply, decimals),
    outcome,
  };
}
