import assert from "node:assert/strict";
import { knownKey } from "./base58.ts";
import { BLOCKHASH_LIFE, ChainClock } from "./clock.ts";
import { CLOCK_SYSVAR, SLOT_HASHES_SYSVAR } from "./known_programs.ts";
import { Svm } from "./svm.ts";

function fixture(rate: number) {
  const svm = new Svm();
  const wall = { now: 1_700_000_000_000 };
  const clock = new ChainClock(svm, { rate, now: () => wall.now });
  const sysvar = () => {
    const data = svm.account(knownKey(CLOCK_SYSVAR))!.data;
    const view = new DataView(data.buffer, data.byteOffset);
    return { slot: Number(view.getBigUint64(0, true)), unix: Number(view.getBigInt64(32, true)) };
  };
  return { svm, wall, clock, sysvar };
}

Deno.test("the chain's seconds run at the rate, from the wall's time, between slots too", () => {
  const { wall, clock, sysvar } = fixture(20);
  assert.deepEqual(sysvar(), { slot: 1, unix: 1_700_000_000 });
  wall.now += 49;
  clock.refresh();
  assert.equal(sysvar().unix, 1_700_000_000);
  wall.now += 1;
  clock.refresh();
  assert.deepEqual(sysvar(), { slot: 1, unix: 1_700_000_001 });
  wall.now += 1000;
  clock.tick(true);
  assert.deepEqual(sysvar(), { slot: 2, unix: 1_700_000_021 });
  clock.skip(100);
  assert.equal(sysvar().unix, 1_700_000_121);
});

Deno.test("a blockhash lives for its blocks, however many slots pass", () => {
  const { clock } = fixture(1);
  const { blockhash } = clock.current;
  for (let i = 0; i < 1000; i++) clock.tick(false);
  assert.ok(clock.isRecent(blockhash));
  for (let i = 0; i < BLOCKHASH_LIFE; i++) clock.tick(true);
  assert.ok(clock.isRecent(blockhash));
  clock.tick(true);
  assert.ok(!clock.isRecent(blockhash));
});

Deno.test("SlotHashes has the last slots, newest first", () => {
  const { svm, clock } = fixture(1);
  for (let i = 0; i < 600; i++) clock.tick(true);
  const { data } = svm.account(knownKey(SLOT_HASHES_SYSVAR))!;
  const view = new DataView(data.buffer, data.byteOffset);
  assert.equal(data.length, 20_488);
  assert.equal(view.getBigUint64(0, true), 512n);
  for (let i = 0; i < 512; i++) {
    assert.equal(view.getBigUint64(8 + 40 * i, true), BigInt(clock.current.slot - 1 - i));
  }
});
