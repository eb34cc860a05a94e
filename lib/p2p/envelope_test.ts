import assert from "node:assert/strict";
import fc from "fast-check";
import {
  ENVELOPE_OVERHEAD,
  envelopeId,
  MAX_ENVELOPE_SIZE,
  sealEnvelope,
  splitEnvelope,
  verifyEnvelope,
} from "./envelope.ts";
import { messageFrame, parseMessageFrame } from "./message_mesh.ts";
import { createSigner } from "./signing.ts";
import { topicOfRun } from "./topic.ts";

const signer = createSigner(new Uint8Array(32).fill(1));
const topic = topicOfRun("test");

Deno.test("the topic vector of client-lifecycle.md section 5.2", () => {
  assert.equal(topic.toHex(), "c86349253ffdd24058fa20d3bbde5c8db1c75f0380a8f86c83c8b0423d9837e2");
});

Deno.test("an envelope verifies in its own run only, and no bit of it may change", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), fc.nat(), (payload, at) => {
      const bytes = sealEnvelope(signer, topic, payload);
      const envelope = splitEnvelope(bytes)!;
      assert.deepEqual(envelope.sender, signer.publicKey);
      assert.deepEqual(envelope.payload, payload);
      assert.ok(verifyEnvelope(envelope, topic));
      assert.ok(!verifyEnvelope(envelope, topicOfRun("other")));
      const changed = bytes.slice();
      changed[at % bytes.length] ^= 0x10;
      assert.ok(!verifyEnvelope(splitEnvelope(changed)!, topic));
    }),
    { numRuns: 100 },
  );
});

Deno.test("a bare signature over the payload does not make an envelope", () => {
  const payload = new Uint8Array(32).fill(5);
  const bytes = sealEnvelope(signer, topic, payload);
  bytes.set(signer.sign(payload), 32);
  assert.ok(!verifyEnvelope(splitEnvelope(bytes)!, topic));
});

Deno.test("the size limit holds on both sides", () => {
  const largest = new Uint8Array(MAX_ENVELOPE_SIZE - ENVELOPE_OVERHEAD);
  assert.equal(sealEnvelope(signer, topic, largest).length, MAX_ENVELOPE_SIZE);
  assert.throws(() => sealEnvelope(signer, topic, new Uint8Array(largest.length + 1)), {
    code: "MESSAGE_TOO_LARGE",
  });
  assert.equal(splitEnvelope(new Uint8Array(MAX_ENVELOPE_SIZE + 1)), null);
  assert.equal(splitEnvelope(new Uint8Array(ENVELOPE_OVERHEAD - 1)), null);
});

Deno.test("the same payload under another signature is the same message", () => {
  const bytes = sealEnvelope(signer, topic, Uint8Array.of(1));
  const forged = bytes.slice();
  forged[40] ^= 1;
  assert.equal(envelopeId(splitEnvelope(bytes)!), envelopeId(splitEnvelope(forged)!));
});

Deno.test("message frames: round trip, and hostile bytes are refused quietly", () => {
  const key = fc.uint8Array({ minLength: 32, maxLength: 32 }).map((k) => k.toHex());
  const envelope = fc.uint8Array({ minLength: ENVELOPE_OVERHEAD, maxLength: MAX_ENVELOPE_SIZE });
  fc.assert(
    fc.property(fc.array(key, { maxLength: 32 }), envelope, (missed, bytes) => {
      const parsed = parseMessageFrame(messageFrame(missed, bytes).subarray(1))!;
      assert.deepEqual(parsed.missed, missed);
      assert.deepEqual(parsed.bytes, bytes);
    }),
    { numRuns: 50 },
  );
  fc.assert(fc.property(fc.uint8Array({ maxLength: 6000, size: "max" }), (body) => {
    const parsed = parseMessageFrame(body);
    if (parsed !== null) assert.ok(!verifyEnvelope(parsed.envelope, topic));
  }));
});
