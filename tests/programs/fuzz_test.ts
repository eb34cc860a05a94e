/**
 * Random instruction data, accounts and account bytes against the built programs.
 *
 * Every case starts from a situation in which an instruction succeeds and changes something. Whatever
 * comes of it: an error that is known, or a success that keeps every sound account sound and loses no
 * lamports. A program that reads or writes outside of its memory, or runs out of compute units, fails
 * the test. `PSYCHE_TEST_SEED` replays, `PSYCHE_FUZZ_CASES` sets the number of cases.
 */
import assert from "node:assert/strict";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { PublicKey } from "@solana/web3.js";
import { Account, Clock, FailedTransactionMetadata } from "litesvm";
import { seed } from "../../lib/protocol/property_seed.ts";
import { Chain } from "./harness.ts";
import { IDL_SCENES } from "./idl_scenes.ts";
import { illegality } from "./legal_accounts.ts";
import { encodeTransaction, type RawInstruction, rawInstruction } from "./raw_transaction.ts";
import { IDLS, type ProgramName, SCENES } from "./scenes.ts";

const CASES = Number(Deno.env.get("PSYCHE_FUZZ_CASES") ?? 100_000);

// Account copies live outside of the heap, where the collector does not count them.
setFlagsFromString("--expose-gc");
const collect = runInNewContext("gc") as () => void;

/** Numbers of the framework, of the system and token programs, and of the programs themselves. */
const KNOWN_NUMBERS = new Set([
  ...[
    101,
    102,
    1001,
    1002,
    1500,
    2000,
    2001,
    2002,
    2003,
    2004,
    2005,
    2006,
    2007,
    2009,
    2011,
    2013,
    2015,
    2507,
  ],
  ...[3000, 3001, 3002, 3003, 3005, 3006, 3007, 3008, 3009, 3010, 3011, 3012, 3016, 4100, 4101],
  ...Array.from({ length: 21 }, (_, i) => i),
  ...Object.values(IDLS).flatMap((idl) => (idl.errors ?? []).map(({ code }) => code)),
]);

/** Refusals of the runtime, and of the programs that are called. */
const KNOWN_ERRORS = new Set([
  "PrivilegeEscalation",
  "MissingRequiredSignature",
  "MissingAccount",
  "InvalidSeeds",
  "InvalidArgument",
  "InvalidAccountData",
  "InvalidAccountOwner",
  "UninitializedAccount",
  "AccountDataTooSmall",
  "AccountAlreadyInitialized",
  "IncorrectProgramId",
  "IllegalOwner",
  "ReadonlyLamportChange",
  "ReadonlyDataModified",
  "ReentrancyNotAllowed",
  "UnsupportedProgramId",
  "ProgramFailedToComplete",
]);

/** What may stand in the log of a program that was ended: its own panic, or seeds of no address. */
const ORDERLY_END =
  /Program panicked|Could not create program address|Unable to find a viable program address|seeds? (?:length|result)|SIGABRT|Provided seeds/i;

/** Where a token account tells whether its tokens are SOL. */
const NATIVE = 109;

/** Numbers that limits are made of. */
const EDGES = [0, 1, 2, 3, 4, 31, 32, 33, 255, 256, 257, 0xffff, 0x7fffffff, 0xffffffff];

/** Fields of a coordinator account that decide something. */
const HOT = [408, 432, 436, 576, 968, 976, 984, 992, 1000, 1008, 1016, 1020, 1022, 1024, 1026, 1028]
  .concat([1030, 1032, 1036, 1040, 15_128, 15_136, 15_152, 15_156, 29_240, 29_264, 57_464, 57_560])
  .concat([75_928, 94_368, 94_376, 94_380, 94_384, 94_392, 94_400, 94_401, 94_408, 94_416, 119_000])
  .concat([1056, 1064, 119_008, 119_016, 119_024, 119_032, 119_048, 119_049, 119_152, 8]);

/** Numbers that follow from a seed (mulberry32). */
class Random {
  constructor(private state: number) {}
  below(limit: number): number {
    this.state = this.state + 0x6d2b79f5 | 0;
    let t = Math.imul(this.state ^ this.state >>> 15, 1 | this.state);
    t = t + Math.imul(t ^ t >>> 7, 61 | t) ^ t;
    return Math.floor(((t ^ t >>> 14) >>> 0) / 2 ** 32 * limit);
  }
  of<T>(list: readonly T[]): T {
    return list[this.below(list.length)];
  }
  chance(percent: number): boolean {
    return this.below(100) < percent;
  }
}

/** A chain as it is before every case, and the accounts and instructions to play with. */
class World {
  readonly accounts: {
    key: Uint8Array;
    account: Account;
    data: Uint8Array;
    /** Belongs to one of the programs. */
    owned: boolean;
  }[];
  readonly lamports: bigint;
  readonly payer: PublicKey;
  readonly clock: Clock;

  constructor(readonly chain: Chain, readonly instructions: RawInstruction[]) {
    this.payer = chain.wallet("fee payer", 1n << 60n);
    this.clock = chain.svm.getClock();
    const programs = Object.values(IDLS).map((idl) => new PublicKey(idl.address));
    const keys = new Map<string, Uint8Array>();
    for (
      const key of [
        this.payer.toBytes(),
        ...instructions.flatMap((i) => i.keys.map((k) => k.key)),
      ]
    ) {
      keys.set(key.toString(), key);
    }
    const none = new Account(0n, new Uint8Array(0), new Uint8Array(32), false, 0n);
    this.accounts = [...keys.values()].map((key) => {
      const account = chain.svm.getAccount(key);
      if (account?.executable()) return { key, account, data: new Uint8Array(0), owned: false };
      const owner = new PublicKey(account?.owner() ?? new Uint8Array(32));
      const owned = account !== null && programs.some((program) => program.equals(owner));
      return { key, account: account ?? none, data: account?.data() ?? new Uint8Array(0), owned };
    });
    this.lamports = this.total();
  }

  /** Lamports of all accounts together. */
  total(): bigint {
    return this.accounts.reduce((sum, a) => sum + (this.chain.svm.getBalance(a.key) ?? 0n), 0n);
  }

  /** Puts back one account, or all that a transaction may have changed. */
  restore(only?: World["accounts"][number]): void {
    for (const { key, account } of only ? [only, this.accounts[0]] : this.accounts) {
      if (!account.executable()) this.chain.svm.setAccount(key, account);
    }
  }
}

function worlds(): World[] {
  const built = (Object.keys(SCENES) as ProgramName[]).flatMap((program) =>
    Object.values(SCENES[program]).map((make) => ({ program, ...make() }))
  );
  const own = built.map(({ program, chain, instruction }) => {
    const first = rawInstruction(instruction);
    // Scenes of the coordinator are about the same run and users: any instruction can be sent in each.
    const others = program === "coordinator"
      ? built.filter((other) => other.program === program && other.chain !== chain)
      : [];
    return new World(chain, [first, ...others.map((other) => rawInstruction(other.instruction))]);
  });
  const framework = Object.values(IDL_SCENES).map((make) => {
    const { chain, instruction } = make();
    return new World(chain, [rawInstruction(instruction)]);
  });
  return [...own, ...framework];
}

function mutateBytes(random: Random, bytes: Uint8Array, hot: readonly number[]): void {
  for (let times = 1 + random.below(5); times > 0 && bytes.length > 0; times--) {
    const at = hot.length > 0 && random.chance(85) ? random.of(hot) : random.below(bytes.length);
    if (at >= bytes.length) continue;
    const width = random.of([1, 1, 2, 4, 8]);
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    if (width === 1 || at + width > bytes.length) {
      bytes[at] = random.chance(50) ? random.below(9) : random.below(256);
      continue;
    }
    const value = random.chance(10)
      ? random.of([-1n, 1n << 63n, -2n])
      : BigInt(random.chance(70) ? random.of(EDGES) : random.below(2 ** 32));
    if (width === 2) view.setUint16(at, Number(BigInt.asUintN(16, value)), true);
    if (width === 4) view.setUint32(at, Number(BigInt.asUintN(32, value)), true);
    if (width === 8) view.setBigUint64(at, BigInt.asUintN(64, value), true);
  }
}

function mutateInstruction(random: Random, world: World, good: RawInstruction): RawInstruction {
  const keys = good.keys.map((meta) => ({ ...meta }));
  let data = Uint8Array.from(good.data);
  if (random.chance(75)) mutateBytes(random, data.subarray(random.chance(95) ? 8 : 0), []);
  if (random.chance(6)) data = data.slice(0, random.below(data.length + 1));
  if (random.chance(3)) data = Uint8Array.from([...data, ...new Uint8Array(random.below(40))]);
  if (random.chance(12)) {
    const meta = random.of(keys);
    const what = random.below(4);
    if (what < 2) meta.key = random.of(world.accounts).key;
    if (what === 2) meta.isSigner = !meta.isSigner;
    if (what === 3) meta.isWritable = !meta.isWritable;
  }
  if (random.chance(3)) keys.length = random.below(keys.length + 1);
  return { programId: good.programId, keys, data };
}

function runCase(random: Random, world: World, seen: Map<string, number>): void {
  const { chain } = world;
  const good = random.chance(60) ? world.instructions[0] : random.of(world.instructions);
  const instruction = random.chance(85) ? mutateInstruction(random, world, good) : good;
  let changed: World["accounts"][number] | undefined;
  let old = new Uint8Array(0);
  if (random.chance(50)) {
    changed = random.of(world.accounts.filter(({ owned, data }) => owned || data.length === 165));
    old = Uint8Array.from(changed?.data ?? []);
    if (changed && old.length > 0) {
      mutateBytes(random, old, old.length === 119_160 ? HOT : []);
      const { key, account } = changed;
      chain.svm.setAccount(
        key,
        new Account(account.lamports(), old, account.owner(), false, 0n),
      );
    }
  }
  const later = random.chance(30) ? BigInt(random.of([1, 3, 4, 5, 10, 15, 60, 10_000])) : 0n;
  const { slot, unixTimestamp } = world.clock;
  chain.svm.setClock(new Clock(slot + later, 0n, 0n, 1n, unixTimestamp + later));

  const transaction = encodeTransaction(world.payer, instruction);
  const result = chain.svm.sendLegacyTransaction(transaction);
  const failed = result instanceof FailedTransactionMetadata;
  const logs = (failed ? result.meta() : result).logs().join("\n");
  assert.doesNotMatch(logs, /access violation|exceeded CUs|stack|unsupported/i, logs);
  const native = changed !== undefined && changed.data.length === 165 && old[NATIVE] === 1;
  const outcome = failed ? errorName(result, logs, native) : "success";
  seen.set(outcome, (seen.get(outcome) ?? 0) + 1);
  if (failed) return world.restore(changed ?? world.accounts[0]);

  assert.equal(world.total(), world.lamports - 5000n * BigInt(transaction[0]), "lamports");
  for (const account of world.accounts) {
    if (!account.owned) continue;
    const before = account === changed ? old : account.data;
    const now = chain.svm.getAccount(account.key)?.data() ?? new Uint8Array(0);
    // All zero: an account that was about to be initialized.
    if (now.length > 0 && before.subarray(0, 8).some((byte) => byte !== 0)) {
      const same = now.subarray(0, 8).every((byte, i) => byte === before[i]);
      assert.ok(same, `discriminator\n${logs}`);
    }
    const broken = illegality(now);
    if (broken !== null) assert.notEqual(illegality(before), null, `${broken}\n${logs}`);
  }
  world.restore();
}

function errorName(failed: FailedTransactionMetadata, logs: string, native: boolean): string {
  const text = failed.toString();
  // A transfer from a token account that now holds SOL takes lamports from it, and maybe its rent.
  if (native && text.includes("err: InsufficientFundsForRent ")) return "InsufficientFundsForRent";
  const number = text.match(/Custom\((\d+)\)/)?.[1];
  if (number !== undefined) {
    assert.ok(KNOWN_NUMBERS.has(Number(number)), `unknown error ${number}:\n${logs}`);
    return number;
  }
  const name = text.match(/InstructionError\(\d+, (\w+)/)?.[1] ?? text.slice(0, 60);
  assert.ok(KNOWN_ERRORS.has(name), `unknown error ${name}:\n${logs}`);
  if (name === "ProgramFailedToComplete") assert.match(logs, ORDERLY_END);
  return name;
}

Deno.test(`${CASES} random cases`, () => {
  const replay = Deno.env.get("PSYCHE_TEST_SEED");
  const first = replay === undefined ? seed() : Number(replay);
  const all = worlds();
  const seen = new Map<string, number>();
  const started = performance.now();
  for (let i = 0; i < CASES; i++) {
    if (i % 500 === 0) collect();
    const random = new Random(first + Math.imul(i, 0x9e3779b1) | 0);
    try {
      runCase(random, all[i % all.length], seen);
    } catch (error) {
      throw new Error(`case ${i} of seed ${first}`, { cause: error });
    }
  }
  const seconds = (performance.now() - started) / 1000;
  const counts = [...seen].sort(([, a], [, b]) => b - a).map(([name, n]) => `${name}: ${n}`);
  console.log(`${CASES} cases in ${seconds.toFixed(1)} s; ${counts.join(", ")}`);
  if (CASES >= 10_000) assert.ok((seen.get("success") ?? 0) > CASES / 20, "too few successes");
});
