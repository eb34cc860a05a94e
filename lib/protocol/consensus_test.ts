import assert from "node:assert/strict";
import { bloomAdd, createBloom } from "./bloom.ts";
import { chooseCommitment, healthScore, quorum } from "./consensus.ts";
import { sha256 } from "./sha256.ts";

function filter(...items: Uint8Array[]) {
  const bloom = createBloom([3n, 14n, 159n, 2653n, 58979n, 323846n, 26433n, 83279n]);
  for (const item of items) bloomAdd(bloom, item);
  return bloom;
}

const hashes = [1, 2, 3].map((byte) => sha256(Uint8Array.of(byte)));
const saw = (...seen: number[]) => ({ broadcastBloom: filter(...seen.map((i) => hashes[i])) });

Deno.test("two thirds make a quorum", () => {
  const expected = [1, 2, 2, 2, 3, 4, 4, 5, 6, 6];
  assert.deepEqual(expected.map((_, i) => quorum(i + 1, 0)), expected);
  assert.equal(quorum(1, 4), 2);
  for (let n = 4; n <= 0xffff; n++) assert.equal(quorum(n, 0), (2 * n - (2 * n) % 3) / 3);
  assert.throws(() => quorum(0, 0), { code: "PROGRAM_PANIC" });
});

Deno.test("health is the number of witnesses that saw the wallet", () => {
  const signer = new Uint8Array(32).fill(9);
  const seen = { participantBloom: filter(sha256(signer)) };
  const unseen = { participantBloom: filter() };
  assert.equal(healthScore([seen, unseen, seen], signer), 2);
  assert.equal(healthScore([], signer), 0);
});

Deno.test("the best supported commitment wins, the later one on a tie", () => {
  assert.equal(chooseCommitment([saw(0), saw(1), saw(1)], hashes, 2), 1);
  assert.equal(chooseCommitment([saw(0), saw(2)], hashes, 1), 2);
  assert.equal(chooseCommitment([saw(0), saw(1), saw(2)], hashes, 2), null);
  assert.equal(chooseCommitment([saw(0)], [], 1), null);
  // A witness that saw several votes for the first of them only.
  assert.equal(chooseCommitment([saw(0, 1), saw(0, 1), saw(1)], hashes, 2), 0);
});
