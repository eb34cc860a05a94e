import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { ComputeBudgetProgram, Keypair, PublicKey, TransactionInstruction } from "@solana/web3.js";
import { PsycheError } from "../error.ts";
import {
  buildTransaction,
  MAX_TRANSACTION_BYTES,
  requiredSigners,
  writableKeys,
} from "./transaction.ts";

const payer = Keypair.generate();
const signer = Keypair.generate();
const blockhash = PublicKey.default.toBase58();

function instruction(bytes: number): TransactionInstruction {
  return new TransactionInstruction({
    programId: new PublicKey(new Uint8Array(32).fill(7)),
    keys: [{ pubkey: signer.publicKey, isSigner: true, isWritable: true }],
    data: Buffer.alloc(bytes),
  });
}

function build(bytes: number, priorityFeeMicroLamports?: number) {
  const instructions = [instruction(bytes)];
  return buildTransaction(
    { payer, label: "Test", instructions, priorityFeeMicroLamports },
    blockhash,
    1234.5,
  );
}

Deno.test("the compute budget goes in front, the price only when given", () => {
  const budget = (price?: number) =>
    build(10, price).instructions.filter(({ programId }) =>
      programId.equals(ComputeBudgetProgram.programId)
    ).map(({ data }) => data.toString("hex"));
  assert.deepEqual(budget(), ["02d3040000"]);
  assert.deepEqual(budget(5), ["02d3040000", "030500000000000000"]);
});

Deno.test("every size either fits with or without the limit, or is refused", () => {
  const counts = new Set<number>();
  for (let bytes = 850; bytes < 1100; bytes++) {
    let built;
    try {
      built = build(bytes);
    } catch (error) {
      assert.ok(error instanceof PsycheError && error.code === "TRANSACTION_TOO_LARGE");
      counts.add(0);
      continue;
    }
    built.transaction.sign(requiredSigners(built.transaction, {
      payer,
      signers: [signer],
      label: "",
      instructions: [],
    }));
    assert.ok(built.transaction.serialize().length <= MAX_TRANSACTION_BYTES);
    counts.add(built.instructions.length);
  }
  assert.deepEqual([...counts], [2, 1, 0]);
});

Deno.test("signers and writable accounts", () => {
  const { transaction } = build(1);
  assert.deepEqual(writableKeys(transaction).map(String), [
    payer.publicKey.toBase58(),
    signer.publicKey.toBase58(),
  ]);
  assert.throws(
    () => requiredSigners(transaction, { payer, label: "Test", instructions: [] }),
    (error: unknown) => error instanceof PsycheError && error.code === "SIGNER_MISSING",
  );
});
