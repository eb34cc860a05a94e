/** Random valid runs for property tests. Only tests use this file. */
import fc from "fast-check";
import type {
  Checkpoint,
  CoordinatorConfig,
  DataLocation,
  HttpLocation,
  LearningRateSchedule,
  Model,
  Optimizer,
  Shuffle,
} from "./coordinator_state.ts";
import { ARCHITECTURES, DATA_TYPES, TOKEN_SIZES } from "./model_image.ts";
import { utf8Length } from "./memory_image.ts";
import { validateRun } from "./run_rules.ts";

const I64_MAX = (1n << 63n) - 1n;

const u8 = fc.integer({ min: 0, max: 0xff });
const u16 = fc.integer({ min: 0, max: 0xffff });
const u32 = fc.integer({ min: 0, max: 0xffffffff });
const positive = (max: number) => fc.integer({ min: 1, max });
const text = (size: number, minLength = 1) =>
  fc.string({ minLength, maxLength: size, unit: "grapheme" })
    .filter((value) => utf8Length(value) <= size && !value.includes("\0") && value.isWellFormed());
// Plus zero: TOML text of minus zero is not told apart.
const f64 = fc.double({ noNaN: true, noDefaultInfinity: true }).map((value) => value + 0);
const f32 = fc.float({ noNaN: true, noDefaultInfinity: true }).map((value) => value + 0);

const configs: fc.Arbitrary<CoordinatorConfig> = fc.record({
  warmupTime: fc.bigInt(0n, 1000n),
  cooldownTime: fc.bigInt(1n, I64_MAX),
  maxRoundTrainTime: fc.bigInt(1n, 1000n),
  roundWitnessTime: fc.bigInt(1n, I64_MAX),
  globalBatchSizeWarmupTokens: fc.bigInt(0n, I64_MAX),
  epochTime: fc.bigInt(1001n, I64_MAX),
  totalSteps: positive(0xffffffff),
  initMinClients: fc.integer({ min: 100, max: 256 }),
  minClients: fc.integer({ min: 32, max: 100 }),
  witnessNodes: fc.integer({ min: 0, max: 32 }),
  globalBatchSizeStart: positive(1000),
  globalBatchSizeEnd: fc.integer({ min: 1000, max: 0xffff }),
  verificationPercent: u8,
  waitingForMembersExtraTime: positive(255),
});

const checkpoints: fc.Arbitrary<Checkpoint> = fc.oneof(
  fc.record({
    kind: fc.constantFrom("Dummy", "Hub", "P2P"),
    repo: fc.record({ repoId: text(64), revision: fc.option(text(64, 0)) }),
  }),
  fc.record({
    kind: fc.constantFrom("Gcs", "P2PGcs"),
    repo: fc.record({ bucket: text(64), prefix: fc.option(text(64, 0)) }),
  }),
);

const httpLocations: fc.Arbitrary<HttpLocation> = fc.oneof(
  fc.record({ kind: fc.constant("SingleUrl"), url: text(192) }),
  fc.record({
    kind: fc.constant("NumberedFiles"),
    urlTemplate: text(60).filter((value) => !/[{}]/.test(value)).map((value) => value + "{}")
      .filter((value) => utf8Length(value) <= 64),
    startIndex: u32,
    nLeftPadZeros: u8,
    numFiles: positive(0xffffffff),
  }),
  fc.record({ kind: fc.constant("Gcp"), bucketName: text(64), filterDirectory: text(192, 0) }),
);

const shuffles: fc.Arbitrary<Shuffle> = fc.oneof(
  fc.constant<Shuffle>({ kind: "DontShuffle" }),
  fc.record({
    kind: fc.constant("Seeded"),
    seed: fc.uint8Array({ minLength: 32, maxLength: 32 }),
  }),
);

const dataLocations: fc.Arbitrary<DataLocation> = fc.oneof(
  fc.constant<DataLocation>({ kind: "Dummy" }),
  fc.record({ kind: fc.constant("Server"), address: text(64) }),
  fc.record({ kind: fc.constant("Local"), path: text(192, 0) }),
  fc.record({
    kind: fc.constant("Http"),
    location: httpLocations,
    tokenSizeInBytes: fc.constantFrom(...TOKEN_SIZES),
    shuffle: shuffles,
  }),
  fc.record({ kind: fc.constant("WeightedHttp"), url: text(192) }),
  fc.record({ kind: fc.constant("Preprocessed"), path: text(192) }),
);

const schedules: fc.Arbitrary<LearningRateSchedule> = fc.oneof(
  fc.record({ kind: fc.constant("Constant"), baseLr: f64, warmupInitLr: f64, warmupSteps: u32 }),
  fc.record({
    kind: fc.constantFrom("Linear", "Cosine"),
    baseLr: f64,
    warmupInitLr: f64,
    finalLr: f64,
    warmupSteps: u32,
    totalSteps: u32,
  }).filter(({ warmupSteps, totalSteps }) => warmupSteps !== totalSteps),
  fc.record({
    kind: fc.constant("WarmupStableDecay"),
    baseLr: f64,
    warmupInitLr: f64,
    cosineDecayFinalLr: f64,
    linearDecayFinalLr: f64,
    warmupSteps: u32,
    stableSteps: u32,
    cosineDecaySteps: u32,
    linearDecaySteps: u32,
  }).map((schedule) => {
    const [low, middle, high] = [
      schedule.baseLr,
      schedule.cosineDecayFinalLr,
      schedule.linearDecayFinalLr,
    ].sort((a, b) => a - b);
    return { ...schedule, baseLr: high, cosineDecayFinalLr: middle, linearDecayFinalLr: low };
  }),
);

const optimizers: fc.Arbitrary<Optimizer> = fc.oneof(
  fc.record({
    kind: fc.constant("AdamW"),
    betas: fc.tuple(f32, f32),
    weightDecay: f32,
    eps: f32,
    clipGradNorm: fc.option(f32),
  }),
  fc.record({
    kind: fc.constant("Distro"),
    clipGradNorm: fc.option(f32),
    weightDecay: fc.option(f32),
    compressionDecay: f32,
    compressionTopk: u16,
    compressionChunk: u16,
    quantize1bit: fc.boolean(),
  }),
);

const models: fc.Arbitrary<Model> = fc.record({
  maxSeqLen: positive(0xffffffff),
  coldStartWarmupSteps: fc.constant(0),
  architecture: fc.constantFrom(...ARCHITECTURES),
  checkpoint: checkpoints,
  dataType: fc.constantFrom(...DATA_TYPES),
  dataLocation: dataLocations,
  lrSchedule: schedules,
  optimizer: optimizers,
});

/** Configurations that the chain accepts. */
export const runs: fc.Arbitrary<{ config: CoordinatorConfig; model: Model }> = fc.record({
  config: configs,
  model: models,
}).filter(({ config, model }) => validateRun(config, model).length === 0)
  // Some arbitraries make objects without a prototype, which deepEqual tells apart.
  .map((run) => structuredClone(run));
