/** What has happened: transactions, their order by address, blocks. Bounded: the oldest go first. */
import type { Slot } from "./clock.ts";
import type { TransactionError } from "./errors.ts";
import type { Outcome } from "./svm.ts";
import type { WireTransaction } from "./wire.ts";

export interface TokenBalance {
  accountIndex: number;
  mint: string;
  owner: string;
  programId: string;
  amount: bigint;
  decimals: number;
}

export interface TransactionRecord {
  signature: string;
  slot: number;
  /** Chain seconds when it ran. */
  blockTime: number;
  transaction: WireTransaction;
  /** All keys in index order, base58: static, loaded writable, loaded readonly. */
  keys: string[];
  /** By key index: whether the transaction could write it. */
  writable: boolean[];
  loadedWritable: number;
  outcome: Outcome;
  fee: bigint;
  preBalances: bigint[];
  postBalances: bigint[];
  preTokenBalances: TokenBalance[];
  postTokenBalances: TokenBalance[];
}

export interface Status {
  slot: number;
  error: TransactionError | null;
}

export interface Block extends Slot {
  /** Chain seconds of the last transaction in it, or of its start. */
  time: number;
  signatures: string[];
}

export interface LedgerLimits {
  /** Transactions kept in full. */
  transactions: number;
  /** Blocks kept. */
  blocks: number;
}

/** About 100 MB of small transactions and an hour of slots. */
export const DEFAULT_LEDGER_LIMITS: LedgerLimits = { transactions: 20_000, blocks: 10_000 };

export class Ledger {
  readonly #limits: LedgerLimits;
  readonly #records = new Map<string, TransactionRecord>();
  /** Outlives the records, so that no transaction can run twice while its blockhash is good. */
  readonly #statuses = new Map<string, Status & { height: number }>();
  readonly #byAddress = new Map<string, string[]>();
  readonly #blocks = new Map<number, Block>();
  #count = 0;

  constructor(limits: LedgerLimits = DEFAULT_LEDGER_LIMITS) {
    this.#limits = limits;
  }

  /** Transactions since genesis. */
  get transactionCount(): number {
    return this.#count;
  }

  get oldestSlot(): number {
    return this.#blocks.keys().next().value ?? 0;
  }

  openBlock(slot: Slot, time: number): void {
    this.#blocks.set(slot.slot, { ...slot, time, signatures: [] });
    while (this.#blocks.size > this.#limits.blocks) this.#blocks.delete(this.oldestSlot);
  }

  /** Adds a transaction to the newest block. `replayHeight` is the last height at which it could be replayed. */
  add(record: TransactionRecord, replayHeight: number, height: number): void {
    const { signature, slot } = record;
    this.#records.set(signature, record);
    this.#statuses.set(signature, { slot, error: record.outcome.error, height: replayHeight });
    this.#count++;
    for (const key of new Set(record.keys)) {
      const list = this.#byAddress.get(key);
      if (list) list.push(signature);
      else this.#byAddress.set(key, [signature]);
    }
    const block = this.#blocks.get(slot);
    if (block) {
      block.time = record.blockTime;
      block.signatures.push(signature);
    }
    this.#prune(height);
  }

  #prune(height: number): void {
    while (this.#records.size > this.#limits.transactions) {
      const [signature, record] = this.#records.entries().next().value!;
      this.#records.delete(signature);
      for (const key of new Set(record.keys)) {
        const list = this.#byAddress.get(key);
        if (list?.length === 1) this.#byAddress.delete(key);
        else list?.shift(); // every list is in ledger order: its first is the oldest
      }
    }
    if (this.#statuses.size <= this.#limits.transactions) return;
    for (const [signature, status] of this.#statuses) {
      if (status.height >= height || this.#records.has(signature)) break;
      this.#statuses.delete(signature);
    }
  }

  status(signature: string): Status | undefined {
    return this.#statuses.get(signature);
  }

  record(signature: string): TransactionRecord | undefined {
    return this.#records.get(signature);
  }

  /** Oldest first; empty when nothing is known of the address. */
  signaturesOf(address: string): readonly string[] {
    return this.#byAddress.get(address) ?? [];
  }

  block(slot: number): Block | undefined {
    return this.#blocks.get(slot);
  }
}
