/** Who may take part and where they may be: the allow list, signed records and unsigned hints. */

import { type AddressRecord, isAddress, parseAddressRecord } from "./address_record.ts";

/** Unsigned addresses kept for one key. */
const MAX_HINTS_PER_KEY = 8;
/** Keys with unsigned addresses; hints may arrive before the allow list names their keys. */
const MAX_HINTED_KEYS = 512;

/** Keys are 64 hex digits throughout. */
export class PeerDirectory {
  #allowed = new Set<string>();
  readonly #records = new Map<string, AddressRecord>();
  readonly #hints = new Map<string, string[]>();
  readonly #topic: Uint8Array;
  readonly #ownKey: string;

  constructor(topic: Uint8Array, ownKey: string) {
    this.#topic = topic;
    this.#ownKey = ownKey;
  }

  /** Allowed keys other than one's own. */
  get allowed(): ReadonlySet<string> {
    return this.#allowed;
  }

  isAllowed(key: string): boolean {
    return this.#allowed.has(key);
  }

  /**
   * Replaces the allow list and forgets the records of keys that left it.
   * @returns false when nothing changed
   */
  setAllowed(keys: Iterable<string>): boolean {
    const allowed = new Set(keys);
    allowed.delete(this.#ownKey);
    if (allowed.size === this.#allowed.size && allowed.isSubsetOf(this.#allowed)) return false;
    this.#allowed = allowed;
    for (const key of this.#records.keys()) if (!this.#allowed.has(key)) this.#records.delete(key);
    return true;
  }

  /**
   * Looks at a record from a neighbour or a file.
   * @param expectedKey only a record of this key is wanted
   * @returns the record when it is valid, of an allowed key and newer than the one held
   */
  offer(text: string, now: number, expectedKey?: string): AddressRecord | null {
    // Most offers repeat what is known; the key is peeked at so that those cost no signature check.
    const key = /"key":"([0-9a-f]{64})"/.exec(text.slice(0, 100))?.[1];
    if (key === undefined || !this.#allowed.has(key)) return null;
    if (expectedKey !== undefined && key !== expectedKey) return null;
    const held = this.#records.get(key);
    if (held?.text === text) return null;
    const record = parseAddressRecord(text, this.#topic, now);
    if (record === null || record.key !== key) return null;
    if (held !== undefined && record.sequence <= held.sequence) return null;
    this.#records.set(key, record);
    return record;
  }

  /** Adds addresses that nobody signed (static peers, multicast DNS); a wrong one only costs a dial. */
  hint(key: string, addresses: string[]): void {
    const held = this.#hints.get(key) ?? [];
    if (held.length === 0 && this.#hints.size >= MAX_HINTED_KEYS) return;
    const merged = new Set([...addresses.filter(isAddress), ...held]);
    this.#hints.set(key, [...merged].slice(0, MAX_HINTS_PER_KEY));
  }

  /** Every known address of a key, signed ones first. */
  addressesOf(key: string, now: number): string[] {
    const record = this.#records.get(key);
    const signed = record !== undefined && record.expires > now ? record.addresses : [];
    return [...new Set([...signed, ...(this.#hints.get(key) ?? [])])];
  }

  /** Live records, to pass on. */
  records(now: number): AddressRecord[] {
    return [...this.#records.values()].filter((record) => record.expires > now);
  }
}
