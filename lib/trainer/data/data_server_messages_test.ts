import assert from "node:assert/strict";
import fc from "fast-check";
import { seed } from "../../protocol/property_seed.ts";
import type { Samples } from "./data_provider.ts";
import {
  type DataAnswer,
  decodeAnswer,
  decodeGreeting,
  decodeRequest,
  encodeAnswer,
  encodeGreeting,
  encodeRequest,
  MAX_GREETING,
  MAX_REQUEST,
  maxAnswerSize,
  REJECTIONS,
  signedRequest,
} from "./data_server_messages.ts";

const bytes = (length: number) => fc.uint8Array({ minLength: length, maxLength: length });
const u64 = fc.bigInt({ min: 0n, max: 2n ** 64n - 1n });
const plain = { noNullPrototype: true };
const batch = fc.record({ start: u64, end: u64 }, plain);
const request = fc.record({ batch, publicKey: bytes(32), signature: bytes(64) }, plain);
const greeting = fc.record({
  runId: fc.string({ maxLength: 16 }),
  sequenceLength: fc.nat(),
  sequences: fc.oneof(fc.maxSafeNat(), fc.constant(Infinity)),
  challenge: bytes(32),
}, plain);

/** Answers for `rows` sequences of `length` tokens. */
const answer: fc.Arbitrary<{ answer: DataAnswer; rows: number; length: number }> = fc.record({
  rows: fc.integer({ min: 1, max: 5 }),
  length: fc.integer({ min: 1, max: 9 }),
  first: fc.bigInt({ min: 0n, max: 2n ** 63n }),
}).chain(({ rows, length, first }) => {
  const batch = { start: first, end: first + BigInt(rows - 1) };
  const column = (least: number) =>
    fc.array(fc.integer({ min: least, max: 2 ** 31 - 1 }), {
      minLength: rows * length,
      maxLength: rows * length,
    }).map((values) => Int32Array.from(values));
  const labels = column(0).map((values) => values.map((label) => label % 3 ? label : -100));
  const lengths = fc.array(fc.uniqueArray(fc.integer({ min: 1, max: length })), {
    minLength: rows,
    maxLength: rows,
  }).map((ends) =>
    ends.map((row) =>
      [...new Set([...row, length])].sort((a, b) => a - b).map((end, i, all) =>
        end - (all[i - 1] ?? 0)
      )
    )
  );
  const data = fc.record({
    tokens: column(0),
    labels: fc.option(labels, { nil: undefined }),
    positionIds: fc.option(column(0), { nil: undefined }),
    sequenceLengths: fc.option(lengths, { nil: undefined }),
  }).map((samples): DataAnswer => ({
    kind: "TrainingData",
    batch,
    // What is absent has no key.
    samples: Object.fromEntries(
      Object.entries(samples).filter(([, column]) => column !== undefined),
    ) as unknown as Samples,
  }));
  const rejected = fc.constantFrom(...REJECTIONS).map((reason): DataAnswer => ({
    kind: "RequestRejected",
    batch,
    reason,
  }));
  return fc.oneof(data, rejected).map((answer) => ({ answer, rows, length }));
});

Deno.test("messages are read as they were written, within their bounds", () => {
  fc.assert(
    fc.property(greeting, request, answer, (greeting, request, { answer, rows, length }) => {
      const greeted = encodeGreeting(greeting);
      assert.ok(greeted.length <= MAX_GREETING);
      assert.deepEqual(decodeGreeting(greeted), greeting);
      const asked = encodeRequest(request);
      assert.ok(asked.length <= MAX_REQUEST);
      assert.deepEqual(decodeRequest(asked), request);
      const answered = encodeAnswer(answer);
      assert.ok(answered.length <= maxAnswerSize(rows, length));
      assert.deepEqual(decodeAnswer(answered, answer.batch, length), answer);
    }),
    { seed: seed() },
  );
});

Deno.test("bytes of the messages, docs/protocol/training-math.md section 6.7", () => {
  const challenge = new Uint8Array(32).fill(3);
  assert.equal(
    encodeGreeting({ runId: "test", sequenceLength: 128, sequences: 300, challenge }).toHex(),
    "01" + "0474657374" + "8001" + "ac02" + "03".repeat(32),
  );
  const publicKey = new Uint8Array(32).fill(5);
  const signature = new Uint8Array(64).fill(9);
  const batch = { start: 7n, end: 8n };
  assert.equal(
    encodeRequest({ batch, publicKey, signature }).toHex(),
    "07" + "08" + "05".repeat(32) + "09".repeat(64),
  );
  assert.equal(
    signedRequest({ runId: "test", challenge }, "h:1", { batch, publicKey }).toHex(),
    "15" + "70737963686520646174612072657175657374" + "2031" + "0474657374" + "03683a31" +
      "03".repeat(32) + "05".repeat(32) + "07" + "08",
  );
  const samples = {
    tokens: Int32Array.of(1, 2, 3, 4),
    labels: Int32Array.of(1, -100, 3, 4),
    sequenceLengths: [[2], [1, 1]],
  };
  assert.equal(
    encodeAnswer({ kind: "TrainingData", batch, samples }).toHex(),
    "00" + "0708" + "10" + "01000000020000000300000004000000" +
      "01" + "10" + "010000009cffffff0300000004000000" + "00" + "01" + "0102" + "020101",
  );
  assert.equal(
    encodeAnswer({ kind: "RequestRejected", batch, reason: "WrongDataIdForStep" }).toHex(),
    "01070801",
  );
});

Deno.test("bytes that nobody wrote are refused, and nothing else happens", () => {
  const decoders: ((bytes: Uint8Array) => unknown)[] = [
    decodeGreeting,
    decodeRequest,
    (bytes) => decodeAnswer(bytes, { start: 0n, end: 3n }, 16),
  ];
  const refused = (bytes: Uint8Array) => {
    for (const decode of decoders) {
      try {
        decode(bytes);
      } catch (error) {
        assert.equal((error as { code?: string }).code, "MESSAGE_INVALID");
      }
    }
  };
  const valid = [
    encodeGreeting({
      runId: "r",
      sequenceLength: 16,
      sequences: 9,
      challenge: new Uint8Array(32),
    }),
    encodeRequest({
      batch: { start: 0n, end: 3n },
      publicKey: new Uint8Array(32),
      signature: new Uint8Array(64),
    }),
    encodeAnswer({
      kind: "TrainingData",
      batch: { start: 0n, end: 3n },
      samples: {
        tokens: new Int32Array(64),
        labels: new Int32Array(64),
        sequenceLengths: [[16], [8, 8], [1, 15], [16]],
      },
    }),
  ];
  fc.assert(
    fc.property(
      fc.uint8Array({ maxLength: 700 }),
      fc.constantFrom(...valid),
      fc.nat(),
      fc.nat(255),
      (noise, message, at, value) => {
        refused(noise);
        const damaged = message.slice();
        damaged[at % message.length] = value;
        refused(damaged);
        refused(message.subarray(0, at % message.length));
        refused(Uint8Array.from([...message, value]));
      },
    ),
    { seed: seed(), numRuns: 300 },
  );
});

Deno.test("an answer that would train wrongly is refused", () => {
  const batch = { start: 4n, end: 4n };
  const invalid = { code: "MESSAGE_INVALID" };
  const check = (samples: Partial<Samples>, maxToken = 9) =>
    decodeAnswer(
      encodeAnswer({
        kind: "TrainingData",
        batch,
        samples: { tokens: Int32Array.of(1, 2, 3), ...samples },
      }),
      batch,
      3,
      maxToken,
    );
  check({});
  assert.throws(() => check({}, 2), invalid);
  assert.throws(() => check({ tokens: Int32Array.of(1, -100, 3) }), invalid);
  assert.throws(() => check({ tokens: Int32Array.of(1, 2) }), invalid);
  assert.throws(() => check({ labels: Int32Array.of(1, -99, 3) }), invalid);
  assert.throws(() => check({ positionIds: Int32Array.of(0, 1, -1) }), invalid);
  for (const lengths of [[], [1, 1], [2, 2], [3, 0], [4]]) {
    assert.throws(() => check({ sequenceLengths: [lengths] }), invalid);
  }
  const other = encodeAnswer({ kind: "RequestRejected", batch, reason: "NotAMember" });
  assert.throws(() => decodeAnswer(other, { start: 4n, end: 5n }, 3), invalid);
});
