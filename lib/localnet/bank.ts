/**
 * Runs transactions the way a validator does: age, replay and nonce checks, preflight, execution,
 * the record of what happened, and the corrections that LiteSVM needs.
 */
import { createHash } from "node:crypto";
import { PsycheError } from "../error.ts";
import { knownKey, toBase58 } from "./base58.ts";
import { BLOCKHASH_LIFE, type ChainClock } from "./clock.ts";
import type { TransactionError } from "./errors.ts";
import {
  LOOKUP_TABLE_PROGRAM,
  SYSTEM_PROGRAM,
  TOKEN_2022_PROGRAM,
  TOKEN_PROGRAM,
  UPGRADEABLE_LOADER,
} from "./known_programs.ts";
import type { Ledger, TokenBalance, TransactionRecord } from "./ledger.ts";
import type { AccountState, Outcome, Svm } from "./svm.ts";
import { isStaticWritable, type WireTransaction } from "./wire.ts";

/** A transaction's accounts with its lookup tables resolved. */
export interface ResolvedKeys {
  /** 32 bytes each, in index order. */
  keys: Uint8Array[];
  writable: boolean[];
  /** How many of the loaded keys are writable; they come before the readonly ones. */
  loadedWritable: number;
}

/** A run without lasting effect. */
export interface Simulation {
  outcome: Outcome;
  /** Accounts as they would be, by base58 address. Empty after an error. */
  after: () => Map<string, AccountState>;
}

/** How {@linkcode Bank.submit} ended. */
export type Submission =
  | { kind: "executed"; record: TransactionRecord }
  /** Refused before a fee was taken: as if it had never been sent. */
  | { kind: "refused"; outcome: Outcome };

export interface BankEvents {
  executed(record: TransactionRecord, resolved: ResolvedKeys): void;
  slot(): void;
}

const LOOKUP_TABLE_HEADER = 56;
const NONCE_BYTES = 80;
/** Upgradeable loader instructions after which a program may be used from the next slot on. */
const LOADER_NEW_SLOT = new Set([2, 3, 5, 6, 9]);

export class Bank {
  readonly #svm: Svm;
  readonly #clock: ChainClock;
  readonly #ledger: Ledger;
  readonly #events: BankEvents;

  constructor(svm: Svm, clock: ChainClock, ledger: Ledger, events: BankEvents) {
    this.#svm = svm;
    this.#clock = clock;
    this.#ledger = ledger;
    this.#events = events;
    ledger.openBlock(clock.current, clock.unixTimestamp());
  }

  /** Starts the next slot and tells the subscribers. */
  advanceSlot(timed: boolean): void {
    const slot = this.#clock.tick(timed);
    this.#ledger.openBlock(slot, this.#clock.unixTimestamp());
    this.#events.slot();
  }

  /** Runs without committing. */
  simulate(
    transaction: WireTransaction,
    options: { verify: boolean; checkAge: boolean },
  ): Simulation {
    const failure = options.checkAge ? this.#admission(transaction).error : undefined;
    if (failure) return { outcome: failed(failure), after: () => new Map() };
    this.#clock.refresh();
    const { after, ...outcome } = this.#svm.simulate(transaction, options.verify);
    return { outcome, after };
  }

  /**
   * Runs and commits one transaction.
   *
   * @param options.verify whether signatures are still to be verified
   * @param options.anyBlockhash for the faucet, whose transactions need no recent blockhash
   */
  submit(
    transaction: WireTransaction,
    options: { verify: boolean; anyBlockhash?: boolean },
  ): Submission {
    const { error, nonce } = this.#admission(transaction, options.anyBlockhash);
    if (error) return { kind: "refused", outcome: failed(error) };
    const resolved = this.resolve(transaction);
    if (typeof resolved === "string") return { kind: "refused", outcome: failed(resolved) };

    this.#clock.refresh();
    const addresses = resolved.keys.map(toBase58);
    const before = this.#balances(resolved, addresses);
    const outcome = this.#svm.execute(transaction, options.verify);
    const after = this.#balances(resolved, addresses);
    const fee = sum(before.lamports) - sum(after.lamports);
    // No fee, no trace: a cluster would not have taken it into a block either.
    if (outcome.error && fee === 0n) return { kind: "refused", outcome };
    if (outcome.error && nonce) this.#advanceNonce(nonce);

    const record: TransactionRecord = {
      signature: toBase58(transaction.signatures[0]),
      slot: this.#clock.current.slot,
      blockTime: this.#clock.unixTimestamp(),
      transaction,
      keys: addresses,
      writable: resolved.writable,
      loadedWritable: resolved.loadedWritable,
      outcome,
      fee,
      preBalances: before.lamports,
      postBalances: after.lamports,
      preTokenBalances: before.tokens,
      postTokenBalances: after.tokens,
    };
    const height = this.#clock.current.blockHeight;
    this.#ledger.add(record, height + BLOCKHASH_LIFE, height);
    const needsSlot = !outcome.error && this.#afterLoaders(record, resolved);
    this.#events.executed(record, resolved);
    if (needsSlot) this.advanceSlot(false);
    return { kind: "executed", record };
  }

  /** Static keys plus those of lookup tables; an error name when a table cannot be used. */
  resolve(transaction: WireTransaction): ResolvedKeys | string {
    const keys = [...transaction.keys];
    const writable = keys.map((_, i) => isStaticWritable(transaction, i));
    const readonly: Uint8Array[] = [];
    for (const lookup of transaction.lookups) {
      const table = this.#svm.account(lookup.table);
      if (!table) return "AddressLookupTableNotFound";
      if (toBase58(table.owner) !== LOOKUP_TABLE_PROGRAM) return "InvalidAddressLookupTableOwner";
      if (table.data.length < LOOKUP_TABLE_HEADER) return "InvalidAddressLookupTableData";
      const at = (index: number): Uint8Array | undefined => {
        const start = LOOKUP_TABLE_HEADER + 32 * index;
        return start + 32 <= table.data.length ? table.data.slice(start, start + 32) : undefined;
      };
      for (const index of lookup.writable) {
        const key = at(index);
        if (!key) return "InvalidAddressLookupTableIndex";
        keys.push(key);
        writable.push(true);
      }
      for (const index of lookup.readonly) {
        const key = at(index);
        if (!key) return "InvalidAddressLookupTableIndex";
        readonly.push(key);
      }
    }
    const loadedWritable = keys.length - transaction.keys.length;
    for (const key of readonly) {
      keys.push(key);
      writable.push(false);
    }
    return { keys, writable, loadedWritable };
  }

  /** Age and replay: whether the transaction may run now, and the nonce account it uses for that. */
  #admission(
    transaction: WireTransaction,
    anyBlockhash = false,
  ): { error?: TransactionError; nonce?: Uint8Array } {
    if (this.#ledger.status(toBase58(transaction.signatures[0]))) {
      return { error: "AlreadyProcessed" };
    }
    if (anyBlockhash || this.#clock.isRecent(toBase58(transaction.blockhash))) return {};
    const nonce = this.#usableNonce(transaction);
    return nonce ? { nonce } : { error: "BlockhashNotFound" };
  }

  /** The nonce account whose stored value is the transaction's blockhash. */
  #usableNonce(transaction: WireTransaction): Uint8Array | undefined {
    const [first] = transaction.instructions;
    if (!first || toBase58(transaction.keys[first.programIndex]) !== SYSTEM_PROGRAM) return;
    const advances = first.data.length === 4 && first.data[0] === 4 && first.data[1] === 0 &&
      first.data[2] === 0 && first.data[3] === 0;
    const index = first.accounts[0];
    if (!advances || index === undefined || index >= transaction.keys.length) return;
    if (!isStaticWritable(transaction, index)) return;
    const key = transaction.keys[index];
    const account = this.#svm.account(key);
    if (account?.data.length !== NONCE_BYTES || toBase58(account.owner) !== SYSTEM_PROGRAM) return;
    const authority = account.data.subarray(8, 40);
    const stored = account.data.subarray(40, 72);
    const signed = transaction.keys.slice(0, transaction.requiredSignatures)
      .some((signer) => equal(signer, authority));
    return signed && equal(stored, transaction.blockhash) ? key : undefined;
  }

  /** A failed nonce transaction still uses its nonce up; LiteSVM would leave it. */
  #advanceNonce(key: Uint8Array): void {
    const account = this.#svm.account(key);
    if (account?.data.length !== NONCE_BYTES) return;
    const data = account.data.slice();
    const next = createHash("sha256").update("DURABLE_NONCE")
      .update(knownKey(this.#clock.current.blockhash)).digest();
    data.set(next, 40);
    this.#svm.setAccount(key, { ...account, data });
  }

  #balances(resolved: ResolvedKeys, addresses: string[]) {
    const lamports = resolved.keys.map((key) => this.#svm.balance(key));
    const usesTokens = addresses.some((it) => it === TOKEN_PROGRAM || it === TOKEN_2022_PROGRAM);
    const tokens: TokenBalance[] = [];
    if (usesTokens) {
      const decimals = new Map<string, number | undefined>();
      for (const [accountIndex, key] of resolved.keys.entries()) {
        if (!resolved.writable[accountIndex]) continue;
        const account = this.#svm.account(key);
        const balance = account && this.#tokenBalance(account, decimals);
        if (balance) tokens.push({ accountIndex, ...balance });
      }
    }
    return { lamports, tokens };
  }

  #tokenBalance(account: AccountState, decimals: Map<string, number | undefined>) {
    const programId = toBase58(account.owner);
    if (programId !== TOKEN_PROGRAM && programId !== TOKEN_2022_PROGRAM) return undefined;
    const { data } = account;
    // A token account: 165 bytes, or longer with the account-type byte 2 of Token-2022.
    if (data.length < 165 || (data.length > 165 && data[165] !== 2)) return undefined;
    const mintKey = data.slice(0, 32);
    const mint = toBase58(mintKey);
    if (!decimals.has(mint)) decimals.set(mint, this.#svm.account(mintKey)?.data[44]);
    const places = decimals.get(mint);
    if (places === undefined) return undefined;
    return {
      mint,
      owner: toBase58(data.subarray(32, 64)),
      programId,
      amount: new DataView(data.buffer, data.byteOffset).getBigUint64(64, true),
      decimals: places,
    };
  }

  /**
   * After loader and lookup-table instructions: reload changed programs (LiteSVM may keep running a
   * closed one), and report whether the next transaction needs a new slot to use the result.
   */
  #afterLoaders(record: TransactionRecord, resolved: ResolvedKeys): boolean {
    const loader = record.keys.indexOf(UPGRADEABLE_LOADER);
    const tables = record.keys.indexOf(LOOKUP_TABLE_PROGRAM);
    if (loader < 0 && tables < 0) return false;
    const calls = [...record.transaction.instructions, ...record.outcome.inner.flat()];
    if (calls.some((call) => call.programIndex === tables)) return true;
    const changed = calls.some((call) =>
      call.programIndex === loader && LOADER_NEW_SLOT.has(call.data[0])
    );
    if (!changed) return false;
    for (const [i, key] of resolved.keys.entries()) {
      const account = resolved.writable[i] ? this.#svm.account(key) : undefined;
      if (account?.executable) this.#svm.setAccount(key, account);
    }
    return true;
  }
}

function failed(error: TransactionError): Outcome {
  return { error, logs: [], inner: [], unitsConsumed: 0 };
}

function sum(values: bigint[]): bigint {
  return values.reduce((total, value) => total + value, 0n);
}

function equal(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, i) => byte === b[i]);
}

/** Refuses what the addon must never see; for callers that hold raw accounts. */
export function checkAccountSize(bytes: number): void {
  if (bytes > 10 * 1024 * 1024) {
    throw new PsycheError(
      "ACCOUNT_TOO_LARGE",
      `An account may have at most 10 MiB of data, not ${bytes} bytes; use a smaller one.`,
    );
  }
}
