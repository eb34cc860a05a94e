/** The peer-to-peer key of a wallet in a run: same wallet and run, same key. */

import { createCipheriv, createHash } from "node:crypto";
import { PsycheError } from "../error.ts";

/**
 * Derives the 32-byte Ed25519 seed: the first 32 bytes of a ChaCha20 stream (20 rounds, counter 0,
 * stream 0) keyed with SHA-256(run id, wallet secret).
 * docs/protocol/client-lifecycle.md section 1, step 2.
 *
 * @param walletSecret the first 32 bytes of the wallet file (its Ed25519 seed)
 * @throws PsycheError `P2P_KEY_INVALID` when the secret is not 32 bytes long
 */
export function deriveP2pSecret(runId: string, walletSecret: Uint8Array): Uint8Array {
  if (walletSecret.length !== 32) {
    throw new PsycheError(
      "P2P_KEY_INVALID",
      `A wallet secret has 32 bytes, this one has ${walletSecret.length}; ` +
        `pass the first half of the 64-byte key.`,
    );
  }
  const seed = createHash("sha256").update(runId, "utf8").update(walletSecret).digest();
  // node:crypto's IV is the block counter followed by the nonce; both are zero.
  const cipher = createCipheriv("chacha20", seed, new Uint8Array(16));
  return new Uint8Array(cipher.update(new Uint8Array(32)));
}
