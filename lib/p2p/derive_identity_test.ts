import assert from "node:assert/strict";
import { deriveP2pSecret } from "./derive_identity.ts";
import { createSigner } from "./signing.ts";

Deno.test("the derivation vector of client-lifecycle.md section 1", () => {
  const walletSecret = Uint8Array.from({ length: 32 }, (_, i) => i);
  const secret = deriveP2pSecret("test", walletSecret);
  assert.equal(
    secret.toHex(),
    "85441c6b739dd6093cf98bf4719f37642c66da75fd08f7353d9fbc07b550e5f6",
  );
  assert.equal(
    createSigner(secret).publicKey.toHex(),
    "e9beec1e38206d5d439f8b5b69ca36c6649cf75f3c3a66d7d79ed65b492ea4a7",
  );
});

Deno.test("another run or another wallet gives another key", () => {
  const wallet = new Uint8Array(32).fill(7);
  const base = deriveP2pSecret("run", wallet).toHex();
  assert.notEqual(deriveP2pSecret("run2", wallet).toHex(), base);
  assert.notEqual(deriveP2pSecret("run", new Uint8Array(32).fill(8)).toHex(), base);
});

Deno.test("a wallet secret of another length is refused", () => {
  assert.throws(() => deriveP2pSecret("run", new Uint8Array(64)), { code: "P2P_KEY_INVALID" });
});
