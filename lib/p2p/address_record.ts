/**
 * Signed address records: which addresses a peer says it listens on.
 *
 * A record is JSON text, the same on the wire and in the address-book directory. The signature
 * covers "psyche/address-record/1", the run's topic and the other fields, so that nobody can publish
 * addresses for somebody else or carry a record into another run.
 */

import { isDeepStrictEqual } from "node:util";
import { multiaddr } from "@multiformats/multiaddr";
import { type Signer, verifySignature } from "./signing.ts";

/** Largest record text, bytes. */
export const MAX_RECORD_SIZE = 2048;
/** Addresses a record may list. */
export const MAX_RECORD_ADDRESSES = 8;
const MAX_ADDRESS_LENGTH = 160;
/** A record cannot claim to live longer than this, milliseconds. */
const MAX_LIFETIME_MS = 24 * 3600 * 1000;

/** A verified record. */
export interface AddressRecord {
  /** 64 hex digits. */
  key: string;
  /** Grows with each record of a key; of two records the one with the higher number counts. */
  sequence: number;
  /** Multiaddresses without the peer id. */
  addresses: string[];
  /** Unix milliseconds. */
  expires: number;
  /** The record as signed, to hand on. */
  text: string;
}

/** Signs a record of one's own addresses; at most eight are kept. */
export function signAddressRecord(
  signer: Signer,
  topic: Uint8Array,
  fields: { sequence: number; addresses: string[]; expires: number },
): AddressRecord {
  const record = {
    key: signer.publicKey.toHex(),
    sequence: fields.sequence,
    addresses: fields.addresses.slice(0, MAX_RECORD_ADDRESSES),
    expires: fields.expires,
  };
  const signature = signer.sign(signedBytes(topic, record)).toHex();
  return { ...record, text: JSON.stringify({ ...record, signature }) };
}

/**
 * Decodes and verifies a record; null when anything about it is wrong (hostile input is expected).
 * @param now unix milliseconds; expired records and records from too far ahead are refused
 */
export function parseAddressRecord(
  text: string,
  topic: Uint8Array,
  now: number,
): AddressRecord | null {
  if (text.length > MAX_RECORD_SIZE) return null;
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return null;
  }
  if (typeof value !== "object" || value === null) return null;
  const { key, sequence, addresses, expires, signature } = value as Record<string, unknown>;
  if (typeof key !== "string" || !/^[0-9a-f]{64}$/.test(key)) return null;
  if (typeof signature !== "string" || !/^[0-9a-f]{128}$/.test(signature)) return null;
  if (!isCount(sequence) || !isCount(expires)) return null;
  if (expires <= now || expires > now + MAX_LIFETIME_MS) return null;
  if (!Array.isArray(addresses) || addresses.length > MAX_RECORD_ADDRESSES) return null;
  if (!addresses.every(isAddress)) return null;
  const fields = { key, sequence, addresses, expires };
  // A second spelling of the same record (other fields, other order) would defeat "text as signed".
  if (!isDeepStrictEqual(value, { ...fields, signature })) return null;
  const valid = verifySignature(
    Uint8Array.fromHex(key),
    signedBytes(topic, fields),
    Uint8Array.fromHex(signature),
  );
  return valid ? { ...fields, text: JSON.stringify({ ...fields, signature }) } : null;
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

/** True for a TCP multiaddress over an IP or a host name, without a peer id. */
export function isAddress(value: unknown): value is string {
  if (typeof value !== "string" || value.length > MAX_ADDRESS_LENGTH) return false;
  if (!/^\/(ip4|ip6|dns|dns4|dns6)\/[\w.:-]+\/tcp\/\d+$/.test(value)) return false;
  try {
    multiaddr(value);
    return true;
  } catch {
    return false;
  }
}

function signedBytes(
  topic: Uint8Array,
  record: { key: string; sequence: number; addresses: string[]; expires: number },
): Uint8Array {
  const { key, sequence, addresses, expires } = record;
  return new TextEncoder().encode(
    `psyche/address-record/1\n${topic.toHex()}\n` +
      JSON.stringify([key, sequence, addresses, expires]),
  );
}
