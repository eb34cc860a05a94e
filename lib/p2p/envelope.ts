/**
 * The signed wrapping of a gossip message: sender key 32 | signature 64 | payload.
 *
 * The signature covers "psyche/envelope/1" | topic of the run (32) | payload, so that an envelope
 * cannot be replayed into another run, nor be taken for one of the bare signatures of commitments.
 * The topic itself is not sent. docs/protocol/client-lifecycle.md sections 5.2 and 5.3 (the order of
 * the fields is ours, section 15 leaves the envelope free).
 */

import { createHash } from "node:crypto";
import { PsycheError } from "../error.ts";
import { type Signer, verifySignature } from "./signing.ts";

/** Bytes of key and signature before the payload. */
export const ENVELOPE_OVERHEAD = 96;
/** Largest envelope, bytes, section 5.2. */
export const MAX_ENVELOPE_SIZE = 4096;

const DOMAIN = new TextEncoder().encode("psyche/envelope/1");

/** An envelope taken apart; `signature` is not verified yet. */
export interface Envelope {
  /** 32 bytes. */
  sender: Uint8Array;
  /** 64 bytes. */
  signature: Uint8Array;
  payload: Uint8Array;
}

/**
 * Signs `payload` for the run with this topic.
 * @throws PsycheError `MESSAGE_TOO_LARGE`
 */
export function sealEnvelope(signer: Signer, topic: Uint8Array, payload: Uint8Array): Uint8Array {
  if (payload.length > MAX_ENVELOPE_SIZE - ENVELOPE_OVERHEAD) {
    throw new PsycheError(
      "MESSAGE_TOO_LARGE",
      `A gossip payload has at most ${MAX_ENVELOPE_SIZE - ENVELOPE_OVERHEAD} bytes, this one has ` +
        `${payload.length}; send large data as a blob and gossip its ticket.`,
    );
  }
  const envelope = new Uint8Array(ENVELOPE_OVERHEAD + payload.length);
  envelope.set(signer.publicKey, 0);
  envelope.set(signer.sign(signedBytes(topic, payload)), 32);
  envelope.set(payload, ENVELOPE_OVERHEAD);
  return envelope;
}

/** Takes an envelope apart (views, no copies); null when its length is impossible. */
export function splitEnvelope(bytes: Uint8Array): Envelope | null {
  if (bytes.length < ENVELOPE_OVERHEAD || bytes.length > MAX_ENVELOPE_SIZE) return null;
  return {
    sender: bytes.subarray(0, 32),
    signature: bytes.subarray(32, ENVELOPE_OVERHEAD),
    payload: bytes.subarray(ENVELOPE_OVERHEAD),
  };
}

/** True when the sender signed this payload for this topic. */
export function verifyEnvelope(envelope: Envelope, topic: Uint8Array): boolean {
  return verifySignature(
    envelope.sender,
    signedBytes(topic, envelope.payload),
    envelope.signature,
  );
}

/** Names a message for de-duplication: SHA-256(sender, payload) in hex; the signature plays no part. */
export function envelopeId(envelope: Envelope): string {
  return createHash("sha256").update(envelope.sender).update(envelope.payload).digest("hex");
}

function signedBytes(topic: Uint8Array, payload: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(DOMAIN.length + topic.length + payload.length);
  bytes.set(DOMAIN, 0);
  bytes.set(topic, DOMAIN.length);
  bytes.set(payload, DOMAIN.length + topic.length);
  return bytes;
}
