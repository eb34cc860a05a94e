import assert from "node:assert/strict";
import { Keypair } from "@solana/web3.js";
import { MAX_TRANSACTION_BYTES } from "../chain/transaction.ts";
import { batchTransfers, signTransfers, type Transfer } from "./funding_transfers.ts";

const blockhash = Keypair.generate().publicKey.toBase58();

for (const priorityFeeMicroLamports of [undefined, 5]) {
  Deno.test(`full batches fit, one transfer more would not; fee ${priorityFeeMicroLamports}`, () => {
    const payer = { payer: Keypair.generate(), priorityFeeMicroLamports };
    const transfers = Array.from({ length: 50 }, (): Transfer => ({
      to: Keypair.generate().publicKey,
      keyFile: null,
      lamports: 2 ** 53 - 1,
    }));
    const batches = batchTransfers(payer, transfers);
    assert.deepEqual(batches.flat(), transfers);
    const size = (batch: Transfer[]) =>
      signTransfers(payer, [batch], { blockhash, lastValidBlockHeight: 1 })[0].bytes.length;
    assert.ok(batches.every((batch) => size(batch) <= MAX_TRANSACTION_BYTES));
    assert.ok(size(batches[0]) + 49 > MAX_TRANSACTION_BYTES, "a transfer takes 49 bytes");
  });
}
