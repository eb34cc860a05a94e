import assert from "node:assert/strict";
import { type Connection, Keypair } from "@solana/web3.js";
import { PsycheError } from "../error.ts";
import { airdropUpTo } from "./airdrop.ts";

const address = Keypair.generate().publicKey;

/** A faucet that pays at the second look, or fails. */
function faucet(balance: number, failure?: Error, { spent = 0, err = null as unknown } = {}) {
  const asked: number[] = [];
  let looks = 0;
  const connection = {
    getBalance: () =>
      Promise.resolve(asked.length > 0 && ++looks > 1 ? balance + asked[0] - spent : balance),
    getSignatureStatuses: () =>
      Promise.resolve({ value: [looks > 3 ? { err, confirmationStatus: "confirmed" } : null] }),
    requestAirdrop(_to: unknown, lamports: number) {
      asked.push(lamports);
      return failure ? Promise.reject(failure) : Promise.resolve("signature");
    },
  } as unknown as Connection;
  return { connection, asked };
}

Deno.test("only what is missing is asked for, and waited for", async () => {
  const { connection, asked } = faucet(30);
  assert.equal(await airdropUpTo(connection, address, 100), 70);
  assert.deepEqual(asked, [70]);
});

Deno.test("what is spent meanwhile is not waited for, and a transfer that failed is told", async () => {
  const { connection } = faucet(30, undefined, { spent: 10 });
  assert.equal(await airdropUpTo(connection, address, 100), 70);
  const broken = faucet(30, undefined, { spent: 70, err: { InstructionError: [0, "Custom"] } });
  await assert.rejects(airdropUpTo(broken.connection, address, 100), {
    code: "AIRDROP_FAILED",
    message: /InstructionError/,
  });
});

Deno.test("nothing is asked for when there is enough", async () => {
  const { connection, asked } = faucet(100);
  assert.equal(await airdropUpTo(connection, address, 100), 0);
  assert.deepEqual(asked, []);
});

Deno.test("a rate limit is told from other refusals by its code", async () => {
  const limited = [
    new PsycheError("RPC_RATE_LIMITED", "Too many."),
    Object.assign(new Error("no"), { code: 429 }),
  ];
  for (const failure of limited) {
    const { connection } = faucet(0, failure);
    await assert.rejects(airdropUpTo(connection, address, 5), { code: "AIRDROP_RATE_LIMITED" });
  }
  const { connection } = faucet(0, new Error("429 apples"));
  await assert.rejects(airdropUpTo(connection, address, 5), {
    code: "AIRDROP_FAILED",
    message: /0\.000000005 SOL.*429 apples.*transfer SOL/,
  });
});
