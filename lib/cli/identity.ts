/** Peer-to-peer keys for people; docs/protocol/commands.md section 10.4. */
import { PsycheError } from "../error.ts";
import { readIdentityFile } from "../p2p/identity_file.ts";
import { peerIdOfKey } from "../p2p/peer_key.ts";
import { createSigner } from "../p2p/signing.ts";

export interface Identity {
  /** Hex, as all keys here. */
  publicKey: string;
  /** The same key as peers address it. */
  peerId: string;
  secretKey: string;
}

/** @throws PsycheError P2P_KEY_INVALID and the errors of `readIdentityFile` */
export async function readIdentity(
  file: string | undefined,
  raw: string | undefined,
): Promise<Uint8Array> {
  if (file !== undefined) return await readIdentityFile(file);
  if (raw !== undefined && /^[0-9a-f]{64}$/i.test(raw)) return Uint8Array.fromHex(raw);
  throw new PsycheError(
    "P2P_KEY_INVALID",
    "RAW_IDENTITY_SECRET_KEY is not the 64 hex digits of a 32-byte key; correct it or give a file.",
  );
}

export function identityOf(secretKey: Uint8Array): Identity {
  const publicKey = createSigner(secretKey).publicKey.toHex();
  return {
    publicKey,
    peerId: peerIdOfKey(publicKey).toString(),
    secretKey: secretKey.toHex(),
  };
}

export function identityLines({ publicKey, peerId }: Omit<Identity, "secretKey">): string[] {
  return [`public key ${publicKey}`, `peer id ${peerId}`];
}
