/** A chain key and a libp2p PeerId are the same 32 bytes; inside this folder keys are hex text. */

import { publicKeyFromRaw } from "@libp2p/crypto/keys";
import type { PeerId } from "@libp2p/interface";
import { peerIdFromPublicKey } from "@libp2p/peer-id";

/** The PeerId of a key (64 hex digits). */
export function peerIdOfKey(key: string): PeerId {
  return peerIdFromPublicKey(publicKeyFromRaw(Uint8Array.fromHex(key)));
}

/** The key (64 hex digits) of a PeerId, null unless it is an Ed25519 one. */
export function keyOfPeerId(peerId: PeerId): string | null {
  return peerId.type === "Ed25519" ? peerId.publicKey.raw.toHex() : null;
}
