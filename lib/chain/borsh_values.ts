/**
 * The toolkit's plain types (lib/protocol/coordinator_state.ts) as the values Anchor's borsh coder
 * takes. Layouts: docs/protocol/onchain-coordinator.md section 1.6.
 */
import anchor from "@coral-xyz/anchor";
import { PublicKey } from "@solana/web3.js";
import { PsycheError } from "../error.ts";
import type {
  Bloom,
  Checkpoint,
  CoordinatorConfig,
  CoordinatorProgress,
  DataLocation,
  GcsRepo,
  HttpLocation,
  HubRepo,
  LearningRateSchedule,
  Model,
  NodeIdentity,
  Optimizer,
  RunMetadata,
  Shuffle,
  WitnessProof,
} from "../protocol/coordinator_state.ts";

// A named import of BN does not exist at run time: the package is CommonJS and re-exports it late.
const { BN } = anchor;

/** Anchor's form of an enum value. */
type Variant = Record<string, unknown>;

/** What a witness reports about its round, besides the proof; only read off chain. */
export interface WitnessMetadata {
  step: number;
  tokensPerSecond: number;
  bandwidthPerSecond: number;
  /** NaN when unknown. */
  loss: number;
  /** At most 8; names at most 32 bytes. */
  evals: { name: string; value: number }[];
  /** At most 16 token ids. */
  promptResults: number[];
  promptIndex: number;
  efficiency: number;
}

/**
 * Text in a field of `size` bytes, filled with zeros.
 * @throws PsycheError TEXT_TOO_LONG; texts are never cut silently.
 */
export function fixedText(text: string, size: number, field: string): Uint8Array {
  const bytes = new TextEncoder().encode(text);
  if (bytes.length > size) {
    throw new PsycheError(
      "TEXT_TOO_LONG",
      `${field} "${
        text.slice(0, 80)
      }" has ${bytes.length} bytes; at most ${size} fit, so shorten it.`,
    );
  }
  const padded = new Uint8Array(size);
  padded.set(bytes);
  return padded;
}

export function u64(value: bigint, field: string): InstanceType<typeof BN> {
  return new BN(integer(value, 64, field).toString());
}

export function runMetadata(metadata: RunMetadata): Variant {
  return {
    name: fixedText(metadata.name, 64, "metadata.name"),
    description: fixedText(metadata.description, 280, "metadata.description"),
    num_parameters: u64(metadata.numParameters, "metadata.num_parameters"),
    vocab_size: u64(metadata.vocabSize, "metadata.vocab_size"),
  };
}

export function coordinatorConfig(config: CoordinatorConfig): Variant {
  const wide = (value: bigint, name: string) => u64(value, `config.${name}`);
  const narrow = (value: number, bits: number, name: string) =>
    number(value, bits, `config.${name}`);
  return {
    warmup_time: wide(config.warmupTime, "warmup_time"),
    cooldown_time: wide(config.cooldownTime, "cooldown_time"),
    max_round_train_time: wide(config.maxRoundTrainTime, "max_round_train_time"),
    round_witness_time: wide(config.roundWitnessTime, "round_witness_time"),
    global_batch_size_warmup_tokens: wide(
      config.globalBatchSizeWarmupTokens,
      "global_batch_size_warmup_tokens",
    ),
    epoch_time: wide(config.epochTime, "epoch_time"),
    total_steps: narrow(config.totalSteps, 32, "total_steps"),
    init_min_clients: narrow(config.initMinClients, 16, "init_min_clients"),
    min_clients: narrow(config.minClients, 16, "min_clients"),
    witness_nodes: narrow(config.witnessNodes, 16, "witness_nodes"),
    global_batch_size_start: narrow(config.globalBatchSizeStart, 16, "global_batch_size_start"),
    global_batch_size_end: narrow(config.globalBatchSizeEnd, 16, "global_batch_size_end"),
    verification_percent: narrow(config.verificationPercent, 8, "verification_percent"),
    waiting_for_members_extra_time: narrow(
      config.waitingForMembersExtraTime,
      8,
      "waiting_for_members_extra_time",
    ),
  };
}

export function coordinatorProgress(progress: CoordinatorProgress): Variant {
  return {
    epoch: number(progress.epoch, 16, "progress.epoch"),
    step: number(progress.step, 32, "progress.step"),
    epoch_start_data_index: u64(progress.epochStartDataIndex, "progress.epoch_start_data_index"),
  };
}

export function model(value: Model): Variant {
  return {
    LLM: {
      0: {
        max_seq_len: number(value.maxSeqLen, 32, "max_seq_len"),
        cold_start_warmup_steps: number(value.coldStartWarmupSteps, 32, "cold_start_warmup_steps"),
        architecture: { [value.architecture]: {} },
        checkpoint: checkpoint(value.checkpoint),
        data_type: { [value.dataType]: {} },
        data_location: dataLocation(value.dataLocation),
        lr_schedule: lrSchedule(value.lrSchedule),
        optimizer: optimizer(value.optimizer),
      },
    },
  };
}

export function checkpoint(value: Checkpoint): Variant {
  switch (value.kind) {
    case "Ephemeral":
      return { Ephemeral: {} };
    case "Dummy":
    case "Hub":
    case "P2P":
      return { [value.kind]: { 0: hubRepo(value.repo) } };
    case "Gcs":
    case "P2PGcs":
      return { [value.kind]: { 0: gcsRepo(value.repo) } };
  }
}

export function nodeIdentity(id: NodeIdentity): Variant {
  return {
    signer: new PublicKey(bytes(id.signer, 32, "client_id.signer")),
    p2p_identity: bytes(id.p2pIdentity, 32, "client_id.p2p_identity"),
  };
}

export function witnessProof(proof: WitnessProof): Variant {
  return {
    position: u64(proof.position, "proof.position"),
    index: u64(proof.index, "proof.index"),
    witness: number(proof.witness, 8, "proof.witness"),
  };
}

export function bloom(value: Bloom, field: string): Variant {
  if (value.keys.length !== 8 || value.words.length !== 16) {
    throw new PsycheError(
      "BLOOM_INVALID",
      `${field} has ${value.keys.length} keys and ${value.words.length} words; a filter has 8 and 16.`,
    );
  }
  return {
    keys: Array.from(value.keys, (key) => u64(key, field)),
    bits: Array.from(value.words, (word) => u64(word, field)),
  };
}

/** NaN is not allowed on the wire: unknown rates become 0 and an unknown loss +infinity (section 1.6). */
export function witnessMetadata(value: WitnessMetadata): Variant {
  const { evals, promptResults } = value;
  if (evals.length > 8 || promptResults.length > 16) {
    throw new PsycheError(
      "WITNESS_METADATA_TOO_LONG",
      `The witness reports ${evals.length} evaluations and ${promptResults.length} prompt tokens; at most 8 and 16 fit.`,
    );
  }
  const rate = (x: number) => Number.isNaN(x) ? 0 : x;
  const unusedEval = { name: new Uint8Array(32), value: 0 };
  return {
    step: number(value.step, 32, "metadata.step"),
    tokens_per_sec: rate(value.tokensPerSecond),
    bandwidth_per_sec: rate(value.bandwidthPerSecond),
    loss: Number.isNaN(value.loss) ? Infinity : value.loss,
    evals: {
      data: Array.from({ length: 8 }, (_, i) =>
        i < evals.length
          ? {
            name: fixedText(evals[i].name, 32, "metadata.evals.name"),
            value: rate(evals[i].value),
          }
          : unusedEval),
      len: new BN(evals.length),
    },
    prompt_results: {
      data: Array.from({ length: 16 }, (_, i) => promptResults[i] ?? 0),
      len: new BN(promptResults.length),
    },
    prompt_index: number(value.promptIndex, 8, "metadata.prompt_index"),
    efficency: rate(value.efficiency),
  };
}

/** Check a byte field's exact length. */
export function bytes(value: Uint8Array, length: number, field: string): Uint8Array {
  if (value.length !== length) {
    throw new PsycheError(
      "BYTES_LENGTH_WRONG",
      `${field} has ${value.length} bytes; it must have exactly ${length}.`,
    );
  }
  return value;
}

function hubRepo(repo: HubRepo): Variant {
  return {
    repo_id: fixedText(repo.repoId, 64, "checkpoint.repo_id"),
    revision: repo.revision === null ? null : fixedText(repo.revision, 64, "checkpoint.revision"),
  };
}

function gcsRepo(repo: GcsRepo): Variant {
  return {
    bucket: fixedText(repo.bucket, 64, "checkpoint.bucket"),
    prefix: repo.prefix === null ? null : fixedText(repo.prefix, 64, "checkpoint.prefix"),
  };
}

function dataLocation(value: DataLocation): Variant {
  const field = `data_location.${value.kind}`;
  switch (value.kind) {
    case "Dummy":
      return { Dummy: {} };
    case "Server":
      return { Server: { 0: fixedText(value.address, 64, field) } };
    case "Local":
    case "Preprocessed":
      return { [value.kind]: { 0: fixedText(value.path, 192, field) } };
    case "WeightedHttp":
      return { WeightedHttp: { 0: fixedText(value.url, 192, field) } };
    case "Http":
      return {
        Http: {
          location: httpLocation(value.location),
          token_size_in_bytes: { [value.tokenSizeInBytes]: {} },
          shuffle: shuffle(value.shuffle),
        },
      };
  }
}

function httpLocation(value: HttpLocation): Variant {
  const field = `data_location.Http.location.${value.kind}`;
  switch (value.kind) {
    case "SingleUrl":
      return { SingleUrl: { 0: fixedText(value.url, 192, field) } };
    case "NumberedFiles":
      return {
        NumberedFiles: {
          url_template: fixedText(value.urlTemplate, 64, `${field}.url_template`),
          start_index: number(value.startIndex, 32, `${field}.start_index`),
          n_left_pad_zeros: number(value.nLeftPadZeros, 8, `${field}.n_left_pad_zeros`),
          num_files: number(value.numFiles, 32, `${field}.num_files`),
        },
      };
    case "Gcp":
      return {
        Gcp: {
          bucket_name: fixedText(value.bucketName, 64, `${field}.bucket_name`),
          filter_directory: fixedText(value.filterDirectory, 192, `${field}.filter_directory`),
        },
      };
  }
}

function shuffle(value: Shuffle): Variant {
  return value.kind === "DontShuffle"
    ? { DontShuffle: {} }
    : { Seeded: { 0: bytes(value.seed, 32, "data_location.Http.shuffle") } };
}

function lrSchedule(value: LearningRateSchedule): Variant {
  const f64 = (x: number, name: string) => notNaN(x, `lr_schedule.${name}`);
  const u32 = (x: number, name: string) => number(x, 32, `lr_schedule.${name}`);
  const common = {
    base_lr: f64(value.baseLr, "base_lr"),
    warmup_init_lr: f64(value.warmupInitLr, "warmup_init_lr"),
    warmup_steps: u32(value.warmupSteps, "warmup_steps"),
  };
  switch (value.kind) {
    case "Constant":
      return { Constant: common };
    case "Linear":
    case "Cosine":
      return {
        [value.kind]: {
          ...common,
          final_lr: f64(value.finalLr, "final_lr"),
          total_steps: u32(value.totalSteps, "total_steps"),
        },
      };
    case "WarmupStableDecay":
      return {
        WarmupStableDecay: {
          ...common,
          cosine_decay_final_lr: f64(value.cosineDecayFinalLr, "cosine_decay_final_lr"),
          linear_decay_final_lr: f64(value.linearDecayFinalLr, "linear_decay_final_lr"),
          stable_steps: u32(value.stableSteps, "stable_steps"),
          cosine_decay_steps: u32(value.cosineDecaySteps, "cosine_decay_steps"),
          linear_decay_steps: u32(value.linearDecaySteps, "linear_decay_steps"),
        },
      };
  }
}

function optimizer(value: Optimizer): Variant {
  const f32 = (x: number, name: string) => notNaN(x, `optimizer.${name}`);
  const optional = (x: number | null, name: string) => x === null ? null : f32(x, name);
  switch (value.kind) {
    case "Dummy":
      return { Dummy: {} };
    case "AdamW":
      return {
        AdamW: {
          betas: value.betas.map((beta) => f32(beta, "betas")),
          weight_decay: f32(value.weightDecay, "weight_decay"),
          eps: f32(value.eps, "eps"),
          clip_grad_norm: optional(value.clipGradNorm, "clip_grad_norm"),
        },
      };
    case "Distro":
      return {
        Distro: {
          clip_grad_norm: optional(value.clipGradNorm, "clip_grad_norm"),
          weight_decay: optional(value.weightDecay, "weight_decay"),
          compression_decay: f32(value.compressionDecay, "compression_decay"),
          compression_topk: number(value.compressionTopk, 16, "optimizer.compression_topk"),
          compression_chunk: number(value.compressionChunk, 16, "optimizer.compression_chunk"),
          quantize_1bit: value.quantize1bit,
        },
      };
  }
}

function number(value: number, bits: number, field: string): number {
  if (!Number.isInteger(value)) throw outOfRange(value, bits, field);
  return Number(integer(BigInt(value), bits, field));
}

function integer(value: bigint, bits: number, field: string): bigint {
  if (value < 0n || value >= 1n << BigInt(bits)) throw outOfRange(value, bits, field);
  return value;
}

function notNaN(value: number, field: string): number {
  if (Number.isNaN(value)) {
    throw new PsycheError(
      "NUMBER_INVALID",
      `${field} is not a number; the chain refuses NaN, so give a value.`,
    );
  }
  return value;
}

function outOfRange(value: number | bigint, bits: number, field: string): PsycheError {
  return new PsycheError(
    "NUMBER_OUT_OF_RANGE",
    `${field} is ${value}; it must be a whole number from 0 to ${(1n << BigInt(bits)) - 1n}.`,
  );
}
