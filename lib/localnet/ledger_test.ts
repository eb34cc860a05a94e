import assert from "node:assert/strict";
import { createLocalnet } from "./start.ts";
import { BLOCKHASH_LIFE } from "./clock.ts";

const to = new Uint8Array(32).fill(9);

Deno.test("old transactions and blocks go, and indexes with them", () => {
  const { node } = createLocalnet({ ledger: { transactions: 50, blocks: 20 } });
  const signatures: string[] = [];
  for (let i = 0; i < 200; i++) {
    const result = node.faucet.airdrop(to, 1_000_000n + BigInt(i));
    assert.ok(result.kind === "executed" && result.record.outcome.error === null);
    signatures.push(result.record.signature);
    if (i % 2) node.bank.advanceSlot(false);
  }
  const { ledger } = node;
  assert.equal(ledger.record(signatures[149]), undefined);
  assert.ok(ledger.record(signatures[150]));
  // The statuses stay as long as a replay is possible.
  assert.ok(ledger.status(signatures[0]));
  const address = node.ledger.record(signatures[199])!.keys[1];
  assert.deepEqual(ledger.signaturesOf(address), signatures.slice(150));
  assert.equal(ledger.transactionCount, 200);
  const { slot } = node.clock.current;
  assert.equal(ledger.oldestSlot, slot - 19);
  assert.equal(ledger.block(slot - 20), undefined);
  for (let i = 0; i <= BLOCKHASH_LIFE; i++) node.bank.advanceSlot(true);
  node.faucet.airdrop(to, 5_000_000n);
  assert.equal(ledger.status(signatures[0]), undefined);
  assert.ok(ledger.status(signatures[199]));
});
