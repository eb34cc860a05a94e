/**
 * A thin typed wrapper of the LiteSVM addon: lengths checked, memory bounded, errors readable.
 *
 * Transactions come in as {@linkcode WireTransaction}, so only decoded ones can reach the addon.
 */
import { Account, Clock, FailedTransactionMetadata, LiteSvm } from "litesvm";
import type { SimulatedTransactionInfo, TransactionMetadata } from "litesvm";
import { runInNewContext } from "node:vm";
import { setFlagsFromString } from "node:v8";
import { toBase58 } from "./base58.ts";
import { type TransactionError, transactionError } from "./errors.ts";
import type { WireTransaction } from "./wire.ts";

/** An account as the chain stores it. `owner` is 32 bytes. */
export interface AccountState {
  lamports: bigint;
  data: Uint8Array;
  owner: Uint8Array;
  executable: boolean;
  rentEpoch: bigint;
}

export interface InnerCall {
  programIndex: number;
  accounts: Uint8Array;
  data: Uint8Array;
  stackHeight: number;
}

/** What running a transaction gave. */
export interface Outcome {
  error: TransactionError | null;
  logs: string[];
  /** By top-level instruction. */
  inner: InnerCall[][];
  unitsConsumed: number;
  returnData?: { program: Uint8Array; data: Uint8Array };
}

export interface ClockState {
  slot: number;
  epoch: number;
  epochStart: number;
  unixTimestamp: number;
}

/** Bytes of account copies in native memory after which a collection is forced. */
const READ_BUDGET = 64 * 1024 * 1024;

/** Small accounts cost this much besides their data. */
const READ_OVERHEAD = 256;

export class Svm {
  readonly #vm = new LiteSvm();
  #unread = READ_BUDGET;
  #collect: (() => void) | undefined;

  constructor() {
    // Both are done better, as a validator does them, by the clock and the bank.
    this.#vm.setBlockhashCheck(false);
    this.#vm.setTransactionHistory(0n);
    this.#vm.withNativeMints();
  }

  /** The account at `key` (32 bytes), undefined when there is none. */
  account(key: Uint8Array): AccountState | undefined {
    const account = this.#vm.getAccount(checkKey(key));
    if (!account) return undefined;
    const state = toState(account);
    this.#spend(state.data.length);
    // An account without lamports is gone, whatever bytes are left.
    return state.lamports === 0n ? undefined : state;
  }

  /** Lamports of `key`, 0 when there is no such account. Cheap: reads no data. */
  balance(key: Uint8Array): bigint {
    return this.#vm.getBalance(checkKey(key)) ?? 0n;
  }

  /** All accounts that `owner` owns. */
  accountsOwnedBy(owner: Uint8Array): { key: Uint8Array; account: AccountState }[] {
    const found: { key: Uint8Array; account: AccountState }[] = [];
    for (const entry of this.#vm.getProgramAccounts(checkKey(owner))) {
      const account = toState(entry.account());
      this.#spend(account.data.length);
      if (account.lamports > 0n) found.push({ key: entry.address, account });
    }
    return found;
  }

  setAccount(key: Uint8Array, account: AccountState): void {
    const { lamports, data, owner, executable, rentEpoch } = account;
    this.#vm.setAccount(
      checkKey(key),
      new Account(lamports, data, checkKey(owner), executable, rentEpoch),
    );
  }

  /** Puts the program `elf` at `key` under the non-upgradeable loader. */
  addProgram(key: Uint8Array, elf: Uint8Array): void {
    this.#vm.addProgram(checkKey(key), elf);
  }

  rentExemption(bytes: number): bigint {
    return this.#vm.minimumBalanceForRentExemption(BigInt(bytes));
  }

  setClock(clock: ClockState): void {
    this.#vm.setClock(
      new Clock(
        BigInt(clock.slot),
        BigInt(clock.epochStart),
        BigInt(clock.epoch),
        BigInt(clock.epoch + 1),
        BigInt(clock.unixTimestamp),
      ),
    );
  }

  /** Gives the addon a new blockhash of its own; nonces derive from it. */
  renewBlockhash(): void {
    this.#vm.expireBlockhash();
  }

  /** Runs and commits. Signatures are verified when `verify` is set. */
  execute(transaction: WireTransaction, verify: boolean): Outcome {
    return this.#withSigverify(verify, () =>
      toOutcome(
        transaction.version === 0
          ? this.#vm.sendVersionedTransaction(transaction.bytes)
          : this.#vm.sendLegacyTransaction(transaction.bytes),
      ));
  }

  /** Runs without committing; `after` has the accounts it would have written. */
  simulate(
    transaction: WireTransaction,
    verify: boolean,
  ): Outcome & { after: () => Map<string, AccountState> } {
    return this.#withSigverify(verify, () => {
      const result = transaction.version === 0
        ? this.#vm.simulateVersionedTransaction(transaction.bytes)
        : this.#vm.simulateLegacyTransaction(transaction.bytes);
      if (result instanceof FailedTransactionMetadata) {
        return { ...toOutcome(result), after: () => new Map() };
      }
      const info = result as SimulatedTransactionInfo;
      return { ...toOutcome(info.meta()), after: () => this.#postAccounts(info) };
    });
  }

  #postAccounts(info: SimulatedTransactionInfo): Map<string, AccountState> {
    const accounts = new Map<string, AccountState>();
    for (const entry of info.postAccounts()) {
      const state = toState(entry.account());
      this.#spend(state.data.length);
      accounts.set(toBase58(entry.address), state);
    }
    return accounts;
  }

  #withSigverify<T>(verify: boolean, run: () => T): T {
    this.#vm.setSigverify(verify);
    try {
      return run();
    } finally {
      this.#vm.setSigverify(true);
    }
  }

  /** Copies live in native memory that the collector does not see: after enough of them, force it. */
  #spend(bytes: number): void {
    this.#unread -= 2 * bytes + READ_OVERHEAD;
    if (this.#unread > 0) return;
    this.#unread = READ_BUDGET;
    this.#collect ??= findCollector();
    this.#collect();
  }
}

function findCollector(): () => void {
  setFlagsFromString("--expose-gc");
  return runInNewContext("gc") as () => void;
}

function checkKey(key: Uint8Array): Uint8Array {
  if (key.length !== 32) throw new TypeError(`an address has 32 bytes, not ${key.length}`);
  return key;
}

function toState(account: Account): AccountState {
  return {
    lamports: account.lamports(),
    data: account.data(),
    owner: account.owner(),
    executable: account.executable(),
    rentEpoch: account.rentEpoch(),
  };
}

function toOutcome(result: TransactionMetadata | FailedTransactionMetadata): Outcome {
  const failed = result instanceof FailedTransactionMetadata;
  const meta = failed ? result.meta() : result;
  const returned = meta.returnData();
  const data = returned.data();
  return {
    error: failed ? transactionError(result.err()) : null,
    logs: meta.logs(),
    inner: meta.innerInstructions().map((calls) =>
      calls.map((call) => {
        const instruction = call.instruction();
        return {
          programIndex: instruction.programIdIndex(),
          accounts: instruction.accounts(),
          data: instruction.data(),
          stackHeight: call.stackHeight(),
        };
      })
    ),
    unitsConsumed: Number(meta.computeUnitsConsumed()),
    ...(data.length > 0 ? { returnData: { program: returned.programId(), data } } : {}),
  };
}
