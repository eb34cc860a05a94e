import assert from "node:assert/strict";
import { Keypair } from "@solana/web3.js";
import fc from "fast-check";
import { emptyBloom } from "../protocol/bloom.ts";
import { seed } from "../protocol/property_seed.ts";
import type { WitnessMetadata } from "./borsh_values.ts";
import { warmupWitnessInstruction, witnessInstruction } from "./coordinator_instructions.ts";
import { decodeWitnessMetadata } from "./witness_reports.ts";

const key = Keypair.generate().publicKey;
const content = {
  runId: "test",
  coordinatorAccount: key,
  user: key,
  proof: { position: 1n, index: 2n, witness: 1 },
  participantBloom: emptyBloom(),
  broadcastBloom: emptyBloom(),
  broadcastMerkle: new Uint8Array(32),
};

const f32 = fc.float({ noNaN: true });

Deno.test("what a witness reports is read back from its instruction", () => {
  const metadata: fc.Arbitrary<WitnessMetadata> = fc.record({
    step: fc.nat(),
    tokensPerSecond: f32,
    bandwidthPerSecond: f32,
    loss: f32,
    evals: fc.array(
      fc.record({ name: fc.stringMatching(/^[a-z_]{0,32}$/), value: f32 }, {
        noNullPrototype: true,
      }),
      { maxLength: 8 },
    ),
    promptResults: fc.array(fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 }), { maxLength: 16 }),
    promptIndex: fc.nat(255),
    efficiency: f32,
  }, { noNullPrototype: true });
  fc.assert(
    fc.property(metadata, (metadata) => {
      const { data } = witnessInstruction({ ...content, metadata });
      assert.deepEqual(decodeWitnessMetadata(data), metadata);
    }),
    { seed: seed() },
  );
});

Deno.test("other instructions and cut ones are no reports, and counts from elsewhere are bounded", () => {
  assert.equal(decodeWitnessMetadata(warmupWitnessInstruction(content).data), null);
  const metadata = {
    step: 1,
    tokensPerSecond: 0,
    bandwidthPerSecond: 0,
    loss: 1,
    evals: [],
    promptResults: [],
    promptIndex: 0,
    efficiency: 0,
  };
  const { data } = witnessInstruction({ ...content, metadata });
  for (const length of [0, 8, data.length - 1]) {
    assert.equal(decodeWitnessMetadata(data.subarray(0, length)), null);
  }
  data.fill(255, 8);
  const found = decodeWitnessMetadata(data)!;
  assert.deepEqual([found.evals.length, found.promptResults.length], [8, 16]);
});
