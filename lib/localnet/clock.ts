/**
 * The chain's time: slots, block height, blockhashes and the Clock and SlotHashes sysvars.
 *
 * Slots follow the wall clock (and step once more after instructions that need a new slot); the
 * unix timestamp runs `rate` times as fast as the wall. Block height follows the wall alone, so that
 * the life of a blockhash stays the same in real seconds.
 */
import { createHash, randomBytes } from "node:crypto";
import { knownKey, toBase58 } from "./base58.ts";
import { SLOT_HASHES_SYSVAR, SYSVAR_OWNER } from "./known_programs.ts";
import type { Svm } from "./svm.ts";

/** Blocks for which a blockhash may be used. */
export const BLOCKHASH_LIFE = 150;
export const SLOTS_PER_EPOCH = 432_000;

/** Entries of the SlotHashes sysvar; its account is 8 + 40 x 512 bytes. */
const SLOT_HASHES = 512;

export interface Slot {
  slot: number;
  parent: number;
  blockHeight: number;
  /** Base58. */
  blockhash: string;
  previousBlockhash: string;
}

export interface ChainClockOptions {
  /** Chain seconds a wall second. */
  rate: number;
  /** Wall clock, milliseconds since 1970. Must not go backwards. */
  now: () => number;
}

export class ChainClock {
  readonly rate: number;
  readonly genesisHash: string;
  readonly #now: () => number;
  readonly #svm: Svm;
  readonly #start: number;
  /** Blockhash to the last block height at which it may be used; in order of age. */
  readonly #hashes = new Map<string, number>();
  readonly #slotHashes = new Uint8Array(8 + 40 * SLOT_HASHES);
  readonly #slotHashesKey = knownKey(SLOT_HASHES_SYSVAR);
  #hash: Uint8Array;
  #current: Slot;
  #skippedMillis = 0;
  #written = { slot: -1, unixTimestamp: -1 };

  constructor(svm: Svm, options: ChainClockOptions) {
    this.#svm = svm;
    this.rate = options.rate;
    this.#now = options.now;
    this.#start = options.now();
    this.#hash = randomBytes(32);
    this.genesisHash = toBase58(this.#hash);
    this.#current = {
      slot: 0,
      parent: 0,
      blockHeight: 0,
      blockhash: this.genesisHash,
      previousBlockhash: this.genesisHash,
    };
    // Nothing may happen in slot 0: programs "deployed in slot 0" can be used and upgraded at once.
    this.tick(true);
  }

  get current(): Slot {
    return this.#current;
  }

  get epoch(): number {
    return Math.floor(this.#current.slot / SLOTS_PER_EPOCH);
  }

  /** The chain's time in milliseconds since 1970. */
  unixMillis(): number {
    return this.#start + (this.#now() - this.#start) * this.rate + this.#skippedMillis;
  }

  unixTimestamp(): number {
    return Math.floor(this.unixMillis() / 1000);
  }

  /** Moves the chain's time forward at once. */
  skip(seconds: number): void {
    this.#skippedMillis += seconds * 1000;
    this.refresh();
  }

  /**
   * Starts the next slot. Synchronous on purpose: no transaction may see half of it.
   *
   * @param timed whether the wall clock caused it; only then the block height grows.
   */
  tick(timed: boolean): Slot {
    const last = this.#current;
    this.#rememberSlotHash(last);
    this.#hash = createHash("sha256").update(this.#hash).update(`slot ${last.slot + 1}`).digest();
    this.#current = {
      slot: last.slot + 1,
      parent: last.slot,
      blockHeight: last.blockHeight + (timed ? 1 : 0),
      blockhash: toBase58(this.#hash),
      previousBlockhash: last.blockhash,
    };
    this.#hashes.set(this.#current.blockhash, this.lastValidBlockHeight);
    for (const [hash, lastValid] of this.#hashes) {
      if (lastValid >= this.#current.blockHeight) break;
      this.#hashes.delete(hash);
    }
    this.#svm.renewBlockhash();
    this.refresh();
    return this.#current;
  }

  /** Writes the Clock sysvar when its second or slot has passed. Call before each execution. */
  refresh(): void {
    const unixTimestamp = this.unixTimestamp();
    const slot = this.#current.slot;
    if (slot === this.#written.slot && unixTimestamp === this.#written.unixTimestamp) return;
    this.#written = { slot, unixTimestamp };
    this.#svm.setClock({
      slot,
      epoch: this.epoch,
      epochStart: Math.floor(this.#start / 1000),
      unixTimestamp,
    });
  }

  /** The last block height at which today's blockhash is good. */
  get lastValidBlockHeight(): number {
    return this.#current.blockHeight + BLOCKHASH_LIFE;
  }

  isRecent(blockhash: string): boolean {
    return this.#hashes.has(blockhash);
  }

  #rememberSlotHash(slot: Slot): void {
    const bytes = this.#slotHashes;
    const view = new DataView(bytes.buffer);
    // Newest first: move all others one entry down.
    bytes.copyWithin(48, 8, bytes.length - 40);
    view.setBigUint64(0, BigInt(Math.min(SLOT_HASHES, slot.slot + 1)), true);
    view.setBigUint64(8, BigInt(slot.slot), true);
    bytes.set(this.#hash, 16);
    this.#svm.setAccount(this.#slotHashesKey, {
      lamports: this.#svm.rentExemption(bytes.length),
      data: bytes,
      owner: knownKey(SYSVAR_OWNER),
      executable: false,
      rentEpoch: 0n,
    });
  }
}
