/** Many SOL transfers in few transactions. */
import {
  ComputeBudgetProgram,
  type PublicKey,
  SystemProgram,
  TransactionMessage,
  VersionedTransaction,
} from "@solana/web3.js";
import bs58 from "bs58";
import type { SignedBytes } from "../chain/confirm.ts";
import { chunks } from "./chunks.ts";
import type { OperatorContext } from "./context.ts";

export interface Transfer {
  to: PublicKey;
  keyFile: string | null;
  lamports: number;
}

type Payer = Pick<OperatorContext, "payer" | "priorityFeeMicroLamports">;

/** Transfers that fit into one transaction of 1232 bytes, with and without a compute budget. */
const PER_TRANSACTION = { plain: 21, withBudget: 20 };
/** Compute units of one system transfer, and of one compute budget instruction. */
const INSTRUCTION_UNITS = 150;

/** Splits transfers into the batches of one transaction each. */
export function batchTransfers(payer: Payer, transfers: Transfer[]): Transfer[][] {
  return chunks(
    transfers,
    payer.priorityFeeMicroLamports ? PER_TRANSACTION.withBudget : PER_TRANSACTION.plain,
  );
}

export function transferInstructions({ payer }: Payer, batch: Transfer[]) {
  return batch.map(({ to, lamports }) =>
    SystemProgram.transfer({ fromPubkey: payer.publicKey, toPubkey: to, lamports })
  );
}

/** The transaction of one batch; a priority fee comes with the compute limit that it is paid for. */
export function compileTransfers(payer: Payer, batch: Transfer[], blockhash: string) {
  const price = payer.priorityFeeMicroLamports ?? 0;
  const units = INSTRUCTION_UNITS * (batch.length + 2);
  const budget = price === 0 ? [] : [
    ComputeBudgetProgram.setComputeUnitLimit({ units }),
    ComputeBudgetProgram.setComputeUnitPrice({ microLamports: price }),
  ];
  const message = new TransactionMessage({
    payerKey: payer.payer.publicKey,
    recentBlockhash: blockhash,
    instructions: [...budget, ...transferInstructions(payer, batch)],
  }).compileToLegacyMessage();
  return new VersionedTransaction(message);
}

/** Signs all batches with one blockhash. */
export function signTransfers(
  payer: Payer,
  batches: Transfer[][],
  { blockhash, lastValidBlockHeight }: { blockhash: string; lastValidBlockHeight: number },
): SignedBytes[] {
  return batches.map((batch) => {
    const transaction = compileTransfers(payer, batch, blockhash);
    transaction.sign([payer.payer]);
    const signature = bs58.encode(transaction.signatures[0]);
    return { signature, bytes: transaction.serialize(), lastValidBlockHeight };
  });
}
