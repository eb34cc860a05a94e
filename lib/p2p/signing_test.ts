import assert from "node:assert/strict";
import fc from "fast-check";
import { createSigner, verifySignature } from "./signing.ts";

const bytes32 = fc.uint8Array({ minLength: 32, maxLength: 32 });

Deno.test("the first vectors of RFC 8032 section 7.1", () => {
  const vectors = [{
    secret: "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
    publicKey: "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
    message: "",
    signature: "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e06522490155" +
      "5fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b",
  }, {
    secret: "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
    publicKey: "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
    message: "72",
    signature: "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da" +
      "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
  }];
  for (const vector of vectors) {
    const signer = createSigner(Uint8Array.fromHex(vector.secret));
    const message = Uint8Array.fromHex(vector.message);
    assert.equal(signer.publicKey.toHex(), vector.publicKey);
    assert.equal(signer.sign(message).toHex(), vector.signature);
    assert.ok(verifySignature(signer.publicKey, message, signer.sign(message)));
  }
});

Deno.test("only the signed message, key and signature verify", () => {
  fc.assert(
    fc.property(bytes32, fc.uint8Array({ minLength: 1 }), fc.nat(63), (seed, message, at) => {
      const signer = createSigner(seed);
      const signature = signer.sign(message);
      assert.ok(verifySignature(signer.publicKey, message, signature));
      const otherMessage = message.slice();
      otherMessage[at % message.length] ^= 1;
      assert.ok(!verifySignature(signer.publicKey, otherMessage, signature));
      const otherSignature = signature.slice();
      otherSignature[at] ^= 1;
      assert.ok(!verifySignature(signer.publicKey, message, otherSignature));
      const otherKey = signer.publicKey.slice();
      otherKey[at % 32] ^= 1;
      assert.ok(!verifySignature(otherKey, message, signature));
    }),
    { numRuns: 50 },
  );
});

Deno.test("hostile keys and signatures are false, not an exception", () => {
  fc.assert(fc.property(fc.uint8Array(), fc.uint8Array(), fc.uint8Array(), (key, message, sig) => {
    assert.equal(verifySignature(key, message, sig), false);
  }));
  fc.assert(
    fc.property(bytes32, fc.uint8Array({ minLength: 64, maxLength: 64 }), (key, signature) => {
      assert.equal(verifySignature(key, Uint8Array.of(1), signature), false);
    }),
  );
});

Deno.test("a secret key of another length is refused", () => {
  assert.throws(() => createSigner(new Uint8Array(64)), { code: "P2P_KEY_INVALID" });
});
