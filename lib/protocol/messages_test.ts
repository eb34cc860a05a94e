import assert from "node:assert/strict";
import fc from "fast-check";
import { PsycheError } from "../error.ts";
import type { Committee } from "./coordinator_state.ts";
import { toHex } from "./bytes.ts";
import { type Broadcast, decodeBroadcast, encodeBroadcast } from "./messages.ts";
import { seed } from "./property_seed.ts";

const u32 = fc.integer({ min: 0, max: 0xffffffff });
const u64 = fc.bigInt(0n, (1n << 64n) - 1n);
const bytes = (length: number) => fc.uint8Array({ minLength: length, maxLength: length });

const broadcasts: fc.Arbitrary<Broadcast> = fc.record({
  step: u32,
  proof: fc.record({
    committee: fc.constantFrom<Committee>(0, 1, 2),
    position: u64,
    index: u64,
  }),
  commitment: fc.record({ dataHash: bytes(32), signature: bytes(64) }),
  nonce: u32,
  data: fc.oneof(
    fc.record({
      kind: fc.constant("TrainingResult" as const),
      batchId: fc.tuple(u64, u64).map(([a, b]) =>
        a < b ? { start: a, end: b } : { start: b, end: a }
      ),
      ticket: fc.record({ hash: bytes(32), size: fc.nat(Number.MAX_SAFE_INTEGER) }),
    }),
    fc.record({
      kind: fc.constant("Finished" as const),
      merkle: bytes(32),
      warmup: fc.boolean(),
    }),
  ),
}).map((broadcast) => structuredClone(broadcast));

const refused = (message: Uint8Array) =>
  assert.throws(() => decodeBroadcast(message), { code: "MESSAGE_INVALID" });

Deno.test("a broadcast byte by byte", () => {
  const encoded = encodeBroadcast({
    step: 300,
    proof: { committee: 2, position: 1n, index: 128n },
    commitment: {
      dataHash: new Uint8Array(32).fill(0xaa),
      signature: new Uint8Array(64).fill(0xbb),
    },
    nonce: 0xffffffff,
    data: {
      kind: "TrainingResult",
      batchId: { start: 0n, end: 127n },
      ticket: { hash: new Uint8Array(32).fill(0xcc), size: 16384 },
    },
  });
  assert.equal(
    toHex(encoded),
    "ac02" + "02" + "01" + "8001" + "60" + "aa".repeat(32) + "bb".repeat(64) + "ffffffff0f" +
      "00" + "00" + "7f" + "cc".repeat(32) + "808001",
  );
});

Deno.test("every broadcast is read back as it was", () => {
  fc.assert(
    fc.property(broadcasts, (broadcast) => {
      assert.deepEqual(decodeBroadcast(encodeBroadcast(broadcast)), broadcast);
    }),
    { seed: seed() },
  );
});

Deno.test("cut, extended and random bytes are refused with the stable code", () => {
  fc.assert(
    fc.property(broadcasts, fc.double({ min: 0, max: 0.999, noNaN: true }), (broadcast, part) => {
      const encoded = encodeBroadcast(broadcast);
      refused(encoded.subarray(0, Math.floor(encoded.length * part)));
      refused(Uint8Array.of(...encoded, 0));
    }),
    { seed: seed() },
  );
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), (noise) => {
      try {
        decodeBroadcast(noise);
      } catch (error) {
        assert.ok(error instanceof PsycheError);
        assert.equal(error.code, "MESSAGE_INVALID");
      }
    }),
    { seed: seed() },
  );
  refused(new Uint8Array(5000));
});

Deno.test("every value has one encoding only", () => {
  const encoded = encodeBroadcast({
    step: 1,
    proof: { committee: 0, position: 0n, index: 0n },
    commitment: { dataHash: new Uint8Array(32), signature: new Uint8Array(64) },
    nonce: 0,
    data: { kind: "Finished", merkle: new Uint8Array(32), warmup: true },
  });
  assert.ok(decodeBroadcast(encoded));
  // Padded step, committee 3, commitment of 95 bytes, warmup 2.
  refused(Uint8Array.of(0x81, 0x00, ...encoded.subarray(1)));
  for (const [at, value] of [[1, 3], [4, 95], [encoded.length - 1, 2]]) {
    refused(encoded.with(at, value));
  }
  assert.throws(
    () =>
      encodeBroadcast({
        ...decodeBroadcast(encoded),
        commitment: { dataHash: new Uint8Array(31), signature: new Uint8Array(64) },
      }),
    { code: "COMMITMENT_INVALID" },
  );
});
