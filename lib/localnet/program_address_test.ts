import assert from "node:assert/strict";
import { Keypair, PublicKey } from "@solana/web3.js";
import { findProgramAddress, isOnCurve } from "./program_address.ts";

Deno.test("finds the same addresses as web3.js", () => {
  for (let i = 0; i < 40; i++) {
    const [program, other] = [Keypair.generate().publicKey, Keypair.generate().publicKey];
    const seeds = [other.toBytes(), new TextEncoder().encode("seed")];
    const [expected] = PublicKey.findProgramAddressSync(seeds, program);
    assert.deepEqual(findProgramAddress(seeds, program.toBytes()), expected.toBytes());
    assert.ok(isOnCurve(other.toBytes()));
    assert.ok(!isOnCurve(expected.toBytes()));
  }
});
