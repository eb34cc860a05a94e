import assert from "node:assert/strict";
import {
  type AddressLookupTableAccount,
  Keypair,
  PublicKey,
  SystemProgram,
  TransactionMessage,
  VersionedTransaction,
} from "@solana/web3.js";
import fc from "fast-check";
import { PsycheError } from "../error.ts";
import { createLocalnet } from "./start.ts";
import { decodeTransaction, MAX_TRANSACTION_BYTES } from "./wire.ts";

const payer = Keypair.generate();
const seed = Number(Deno.env.get("FC_SEED") ?? Date.now() % 2 ** 31);

function rarely<T>(arbitrary: fc.Arbitrary<T>): fc.Arbitrary<T | null> {
  return fc.oneof({ weight: 9, arbitrary: fc.constant(null) }, { weight: 1, arbitrary });
}

function signed(version: "legacy" | 0, payerKey = payer.publicKey): Uint8Array {
  const to = Keypair.generate().publicKey;
  const message = new TransactionMessage({
    payerKey,
    recentBlockhash: Keypair.generate().publicKey.toBase58(),
    instructions: [SystemProgram.transfer({ fromPubkey: payerKey, toPubkey: to, lamports: 5 })],
  });
  const table = {
    key: Keypair.generate().publicKey,
    state: { addresses: [to] },
  } as AddressLookupTableAccount;
  const transaction = new VersionedTransaction(
    version === 0 ? message.compileToV0Message([table]) : message.compileToLegacyMessage(),
  );
  transaction.sign([payer]);
  return transaction.serialize();
}

Deno.test("decodes what web3.js writes", () => {
  for (const version of ["legacy", 0] as const) {
    const bytes = signed(version);
    const decoded = decodeTransaction(bytes);
    const expected = VersionedTransaction.deserialize(bytes);
    assert.equal(decoded.version, version);
    assert.deepEqual(decoded.signatures, expected.signatures.map((it) => new Uint8Array(it)));
    assert.deepEqual(
      decoded.keys.map((it) => new PublicKey(it).toBase58()),
      expected.message.staticAccountKeys.map((it) => it.toBase58()),
    );
    assert.deepEqual(decoded.messageBytes, new Uint8Array(expected.message.serialize()));
    assert.equal(decoded.lookups.length, version === 0 ? 1 : 0);
    assert.equal(decoded.instructions.length, 1);
    assert.equal(decoded.instructions[0].data.length, 12);
  }
});

Deno.test("every shortened or lengthened transaction is refused", () => {
  for (const version of ["legacy", 0] as const) {
    const bytes = signed(version);
    for (let length = 0; length < bytes.length; length++) {
      assert.throws(() => decodeTransaction(bytes.subarray(0, length)), PsycheError);
    }
    assert.throws(() => decodeTransaction(new Uint8Array([...bytes, 0])), /follow its end/);
    assert.throws(() => decodeTransaction(new Uint8Array(MAX_TRANSACTION_BYTES + 1)), /at most/);
  }
});

Deno.test("the header, the indexes and the lengths are checked", () => {
  const bytes = signed("legacy");
  const at = 1 + 64; // the message's header
  const changed = (offset: number, value: number): Uint8Array => {
    const copy = bytes.slice();
    copy[at + offset] = value;
    return copy;
  };
  const cases: [number, number, RegExp][] = [
    [0, 0, /can pay its fee|signatures/],
    [0, 2, /signatures/],
    [0, 0x81, /version 1/],
    [1, 1, /can pay its fee/],
    [2, 3, /more keys/],
    [3, 0x80, /ends|shortest|keys/],
    [bytes.length - at - 12 - 1 - 2 - 2, 0, /calls account 0/],
    [bytes.length - at - 12 - 1 - 2 - 2, 9, /calls account 9/],
    [bytes.length - at - 12 - 1 - 1, 200, /uses account 200/],
  ];
  for (const [offset, value, message] of cases) {
    assert.throws(() => decodeTransaction(changed(offset, value)), message, `${offset} ${value}`);
  }
});

Deno.test("mutated transactions neither pass unchecked nor end the process", () => {
  console.log(`seed ${seed}`);
  const { node, find } = createLocalnet();
  node.faucet.airdrop(payer.publicKey.toBytes(), 10_000_000_000n);
  const samples = [signed("legacy"), signed(0), signed("legacy")];
  const mutation = fc.record({
    sample: fc.nat(samples.length - 1),
    edits: fc.array(fc.tuple(fc.nat(1300), fc.nat(255)), { minLength: 1, maxLength: 3 }),
    cut: rarely(fc.nat(300)),
    insert: rarely(fc.tuple(fc.nat(300), fc.uint8Array({ maxLength: 40 }))),
  });
  const counts = { refused: 0, failed: 0, executed: 0 };
  fc.assert(
    fc.property(mutation, ({ sample, edits, cut, insert }) => {
      const list = [...samples[sample]];
      for (const [at, value] of edits) list[at % list.length] = value;
      if (insert) list.splice(insert[0] % list.length, 0, ...insert[1]);
      if (cut !== null) list.splice(cut % list.length, 1 + cut % 7);
      let transaction;
      try {
        transaction = decodeTransaction(Uint8Array.from(list));
      } catch (error) {
        assert.ok(error instanceof PsycheError, String(error));
        counts.refused++;
        return;
      }
      // Without signature and age checks, so that the bytes get as far as they can.
      const { outcome } = node.bank.simulate(transaction, { verify: false, checkAge: false });
      const result = node.bank.submit(transaction, { verify: false, anyBlockhash: true });
      if (result.kind === "refused") assert.ok(result.outcome.error);
      if (outcome.error) counts.failed++;
      else counts.executed++;
    }),
    { seed, numRuns: 8000 },
  );
  assert.ok(
    counts.refused > 500 && counts.failed > 500 && counts.executed > 50,
    `${JSON.stringify(counts)}`,
  );
  assert.equal(typeof find("getSlot"), "function");
});
