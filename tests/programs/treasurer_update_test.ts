/**
 * The arguments of run_update: whatever the coordinator decodes, the treasurer must decode and pass
 * on unchanged, and whatever it refuses, the treasurer must refuse.
 */
import assert from "node:assert/strict";
import { BorshInstructionCoder } from "@coral-xyz/anchor";
import fc from "fast-check";
import * as values from "../../lib/chain/borsh_values.ts";
import { updateInstruction } from "../../lib/chain/coordinator_instructions.ts";
import { coordinatorIdl } from "../../lib/chain/programs.ts";
import type {
  Checkpoint,
  DataLocation,
  HttpLocation,
  LearningRateSchedule,
  Model,
  Optimizer,
} from "../../lib/protocol/coordinator_state.ts";
import { seed } from "../../lib/protocol/property_seed.ts";
import { Run, TRACE_CONFIG, TRACE_MODEL } from "./harness.ts";
import { chainWithTreasurer, Collateral, RewardedRun } from "./rewarded_run.ts";

const u32 = fc.nat(0xffff_ffff);
const u16 = fc.nat(0xffff);
const u64 = fc.bigInt(0n, (1n << 64n) - 1n);
const text = fc.string({ minLength: 1, maxLength: 64, unit: "grapheme-ascii" });
const f64 = fc.double({ noNaN: true });
const f32 = fc.float({ noNaN: true });
const optionalF32 = fc.option(f32);

const checkpoint: fc.Arbitrary<Checkpoint> = fc.oneof(
  fc.constant({ kind: "Ephemeral" as const }),
  fc.record({
    kind: fc.constantFrom("Dummy" as const, "Hub" as const, "P2P" as const),
    repo: fc.record({ repoId: text, revision: fc.option(text) }),
  }),
  fc.record({
    kind: fc.constantFrom("Gcs" as const, "P2PGcs" as const),
    repo: fc.record({ bucket: text, prefix: fc.option(text) }),
  }),
);

const httpLocation: fc.Arbitrary<HttpLocation> = fc.oneof(
  fc.record({ kind: fc.constant("SingleUrl" as const), url: text }),
  fc.record({
    kind: fc.constant("NumberedFiles" as const),
    urlTemplate: text,
    startIndex: u32,
    nLeftPadZeros: fc.nat(255),
    numFiles: u32,
  }),
  fc.record({ kind: fc.constant("Gcp" as const), bucketName: text, filterDirectory: text }),
);

const dataLocation: fc.Arbitrary<DataLocation> = fc.oneof(
  fc.constant({ kind: "Dummy" as const }),
  fc.record({ kind: fc.constant("Server" as const), address: text }),
  fc.record({ kind: fc.constantFrom("Local" as const, "Preprocessed" as const), path: text }),
  fc.record({ kind: fc.constant("WeightedHttp" as const), url: text }),
  fc.record({
    kind: fc.constant("Http" as const),
    location: httpLocation,
    tokenSizeInBytes: fc.constantFrom("TwoBytes" as const, "FourBytes" as const),
    shuffle: fc.oneof(
      fc.constant({ kind: "DontShuffle" as const }),
      fc.record({
        kind: fc.constant("Seeded" as const),
        seed: fc.uint8Array({ minLength: 32, maxLength: 32 }),
      }),
    ),
  }),
);

const schedule = { baseLr: f64, warmupInitLr: f64, warmupSteps: u32 };
const lrSchedule: fc.Arbitrary<LearningRateSchedule> = fc.oneof(
  fc.record({ kind: fc.constant("Constant" as const), ...schedule }),
  fc.record({
    kind: fc.constantFrom("Linear" as const, "Cosine" as const),
    ...schedule,
    finalLr: f64,
    totalSteps: u32,
  }),
  fc.record({
    kind: fc.constant("WarmupStableDecay" as const),
    ...schedule,
    cosineDecayFinalLr: f64,
    linearDecayFinalLr: f64,
    stableSteps: u32,
    cosineDecaySteps: u32,
    linearDecaySteps: u32,
  }),
);

const optimizer: fc.Arbitrary<Optimizer> = fc.oneof(
  fc.constant({ kind: "Dummy" as const }),
  fc.record({
    kind: fc.constant("AdamW" as const),
    betas: fc.tuple(f32, f32),
    weightDecay: f32,
    eps: f32,
    clipGradNorm: optionalF32,
  }),
  fc.record({
    kind: fc.constant("Distro" as const),
    clipGradNorm: optionalF32,
    weightDecay: optionalF32,
    compressionDecay: f32,
    compressionTopk: u16,
    compressionChunk: u16,
    quantize1bit: fc.boolean(),
  }),
);

const model: fc.Arbitrary<Model> = fc.record({
  maxSeqLen: u32,
  coldStartWarmupSteps: fc.nat(2),
  architecture: fc.constantFrom("HfLlama", "HfDeepseek", "HfAuto", "Torchtitan"),
  checkpoint,
  dataType: fc.constantFrom("Pretraining", "Finetuning"),
  dataLocation,
  lrSchedule,
  optimizer,
});

// Mostly valid: minClients is 2, warmupTime 10 and maxRoundTrainTime 15.
const config = fc.record({
  totalSteps: u32,
  epochTime: fc.bigInt(12n, 1000n),
  initMinClients: fc.nat(300),
})
  .map((changes) => ({ ...TRACE_CONFIG, ...changes }));
const progress = fc.record({ epoch: u16, step: u32, epochStartDataIndex: u64 });
const metadata = fc.record({
  name: text,
  description: text,
  numParameters: u64,
  vocabSize: u64,
});

// All four at once would not fit into a transaction.
const parts = fc.oneof(
  fc.record({ config: fc.option(config), model: fc.option(model), progress: fc.option(progress) }),
  fc.record({ metadata, config: fc.option(config), progress: fc.option(progress) }),
);

/** The same run twice: one of the treasurer and one of its owner alone. */
function twins() {
  const chain = chainWithTreasurer();
  const rewarded = new RewardedRun(chain, new Collateral(chain), "rewarded").create();
  const plain = new Run(chain, "plain").create();
  const same = () => {
    const [a, b] = [rewarded, plain].map((run) => {
      const { runId: _, ...state } = run.state();
      return state;
    });
    assert.deepEqual(a, b);
  };
  return { chain, rewarded, plain, same };
}

Deno.test("run_update does to a run what update does", () => {
  const { chain, rewarded, plain, same } = twins();
  const results: Record<string, number> = {};
  fc.assert(
    fc.property(parts, (changes) => {
      // Of nothing the treasurer makes no call, and the twins' nonces would differ.
      fc.pre(Object.values(changes).some((part) => part !== null));
      const wrapped = chain.send(rewarded.update(changes));
      const direct = chain.send(updateInstruction({ ...plain.asOwner(), ...changes }));
      assert.equal(wrapped.error, direct.error);
      results[`${direct.error}`] = (results[`${direct.error}`] ?? 0) + 1;
      same();
    }),
    { numRuns: 150, seed: seed() },
  );
  console.log("results of updates:", results);
  assert.ok(results["null"] > 10, "some updates must succeed");
});

const damage = fc.constantFrom("byte", "NaN", "cut");
// From the start, or from the end, where the optimizer's tags and flags are.
const place = fc.oneof(fc.nat(), fc.integer({ min: -40, max: -1 }));

Deno.test("run_update refuses every encoding that update refuses", () => {
  const { chain, rewarded, plain } = twins();
  const coder = new BorshInstructionCoder(coordinatorIdl);
  const accounts = [rewarded.account, plain.account].map((address) =>
    [address, Uint8Array.from(chain.data(address))] as const
  );
  // What a damaged model leaves over may resume the run.
  const reset = () => accounts.forEach((args) => chain.put(...args, chain.ids.coordinator));
  let refused = 0;
  fc.assert(
    fc.property(model, damage, place, fc.nat(255), (value, kind, at, byte) => {
      const whole = coder.encode("update", {
        metadata: null,
        config: null,
        model: values.model(value),
        progress: null,
      });
      const data = Buffer.from(whole);
      const position = at < 0 ? data.length + at : 8 + at % (data.length - 8);
      const cut = kind === "cut";
      const end = cut ? position : data.length;
      if (kind === "byte") data[position] = byte;
      if (kind === "NaN") data.subarray(position, position + 8).fill(0xff);
      const direct = updateInstruction(plain.asOwner());
      direct.data = data.subarray(0, end);
      const wrapped = rewarded.update({});
      wrapped.data = Buffer.concat([
        wrapped.data.subarray(0, 8),
        data.subarray(8, end),
        // No rates, no pause, no version; nothing at all behind what is cut off.
        cut ? new Uint8Array(0) : new Uint8Array(4),
      ]);
      // Unsigned: the treasurer gets no further than to decode, so its own 102 is what is seen.
      wrapped.keys[0].isSigner = false;
      const [expected, found] = [chain.send(direct).error, chain.send(wrapped).error];
      reset();
      if (expected === 102) refused++;
      // A changed tag can move the end, and then the rest may not be what follows a model.
      if (found === 102 && expected !== 102) assert.ok(!data.equals(whole));
      else assert.equal(found, expected === 102 ? 102 : 3010);
    }),
    { numRuns: 300, seed: seed() },
  );
  console.log("encodings refused:", refused);
  assert.ok(refused > 50);

  // The last flag of a model, before five absent values: a boolean and nothing else.
  const flagged = rewarded.update({ model: TRACE_MODEL });
  flagged.keys[0].isSigner = false;
  const flag = flagged.data.length - 6;
  assert.equal(flagged.data[flag], 1);
  assert.equal(chain.send(flagged).error, 3010);
  flagged.data[flag] = 2;
  assert.equal(chain.send(flagged).error, 102);
});

Deno.test("rates, pause and version are decoded as strictly", () => {
  const { chain, rewarded } = twins();
  const send = (...tail: number[]) => {
    const instruction = rewarded.update({});
    instruction.data = Buffer.concat([
      instruction.data.subarray(0, 12),
      Uint8Array.from(tail),
    ]);
    return chain.send(instruction).error;
  };
  const rate = [1, 1, 0, 0, 0, 0, 0, 0, 0];
  assert.equal(send(0, 0, 0, 0), null);
  assert.equal(send(0, 0, 0, 0, 99), null, "surplus bytes do not matter");
  assert.equal(send(...rate, ...rate, 0, 1, 1, 0, 0, 0, 65), null);
  for (
    const tail of [
      [],
      [0],
      [0, 0, 0],
      [2, 0, 0, 0],
      [0, 2, 0, 0],
      [0, 0, 2, 0],
      [0, 0, 0, 2],
      [0, 0, 1, 2, 0],
      [0, 0, 1, 1],
      [...rate.slice(0, 8)],
      [0, 0, 0, 1, 1, 0, 0, 0],
      [0, 0, 0, 1, 1, 0, 0, 0, 0xff],
    ]
  ) assert.equal(send(...tail), 102, `${tail}`);
  assert.deepEqual(rewarded.state().clientsState.futureEpochRates, {
    earningRateTotalShared: 1n,
    slashingRatePerClient: 1n,
  });
  assert.equal(rewarded.state().clientVersion, "A");
});
