/**
 * The decoded coordinator account: plain data, shared by the codec, the state machine and every reader.
 *
 * u64 fields are `bigint`, smaller integers `number`, keys and hashes 32-byte `Uint8Array`s.
 * Layout: docs/protocol/onchain-coordinator.md section 1; meaning: coordinator-state-machine.md.
 */

/** On-chain run states, section 1.3. */
export const RunState = {
  Uninitialized: 0,
  WaitingForMembers: 1,
  Warmup: 2,
  RoundTrain: 3,
  RoundWitness: 4,
  Cooldown: 5,
  Finished: 6,
  Paused: 7,
} as const;
export type RunState = (typeof RunState)[keyof typeof RunState];

/** State of an epoch member, section 1.3. */
export const ClientState = { Healthy: 0, Dropped: 1, Withdrawn: 2, Ejected: 3 } as const;
export type ClientState = (typeof ClientState)[keyof typeof ClientState];

/** Wallet key and peer-to-peer key of a client; equality looks at the signer only. */
export interface NodeIdentity {
  signer: Uint8Array;
  p2pIdentity: Uint8Array;
}

export interface EpochClient {
  id: NodeIdentity;
  state: ClientState;
  exitedHeight: number;
}

export interface JoinedClient {
  id: NodeIdentity;
  earned: bigint;
  slashed: bigint;
  active: bigint;
}

/** 1024-bit filter with 8 keys, deterministic-selection.md section 8. */
export interface Bloom {
  /** 8 keys. */
  keys: BigUint64Array;
  /** 16 words; bit p is `words[p >> 6] >> (p & 63)`. */
  words: BigUint64Array;
}

export interface WitnessProof {
  position: bigint;
  index: bigint;
  /** Raw byte; 1 is true, and only 1 is accepted by the witness rule. */
  witness: number;
}

export interface Witness {
  proof: WitnessProof;
  participantBloom: Bloom;
  broadcastBloom: Bloom;
  broadcastMerkle: Uint8Array;
}

export interface Round {
  witnesses: Witness[];
  dataIndex: bigint;
  randomSeed: bigint;
  height: number;
  clientsLen: number;
  tieBreakerTasks: number;
}

export interface EpochState {
  /** Ring of 4 rounds. */
  rounds: [Round, Round, Round, Round];
  clients: EpochClient[];
  exitedClients: EpochClient[];
  roundsHead: number;
  startStep: number;
  /** 0 = not set. */
  lastStep: number;
  startTimestamp: bigint;
  firstRound: boolean;
  coldStartEpoch: boolean;
}

/** `[config]` of a run, run-config.md section 2. Times in seconds. */
export interface CoordinatorConfig {
  warmupTime: bigint;
  cooldownTime: bigint;
  maxRoundTrainTime: bigint;
  roundWitnessTime: bigint;
  globalBatchSizeWarmupTokens: bigint;
  epochTime: bigint;
  totalSteps: number;
  initMinClients: number;
  minClients: number;
  witnessNodes: number;
  globalBatchSizeStart: number;
  globalBatchSizeEnd: number;
  verificationPercent: number;
  waitingForMembersExtraTime: number;
}

export interface CoordinatorProgress {
  epoch: number;
  step: number;
  epochStartDataIndex: bigint;
}

export interface HubRepo {
  repoId: string;
  revision: string | null;
}

export interface GcsRepo {
  bucket: string;
  prefix: string | null;
}

/** Run-config.md section 3.1. */
export type Checkpoint =
  | { kind: "Ephemeral" }
  | { kind: "Dummy"; repo: HubRepo }
  | { kind: "Hub"; repo: HubRepo }
  | { kind: "P2P"; repo: HubRepo }
  | { kind: "Gcs"; repo: GcsRepo }
  | { kind: "P2PGcs"; repo: GcsRepo };

export type HttpLocation =
  | { kind: "SingleUrl"; url: string }
  | {
    kind: "NumberedFiles";
    urlTemplate: string;
    startIndex: number;
    nLeftPadZeros: number;
    numFiles: number;
  }
  | { kind: "Gcp"; bucketName: string; filterDirectory: string };

export type Shuffle = { kind: "DontShuffle" } | { kind: "Seeded"; seed: Uint8Array };

/** Run-config.md section 3.2. */
export type DataLocation =
  | { kind: "Dummy" }
  | { kind: "Server"; address: string }
  | { kind: "Local"; path: string }
  | {
    kind: "Http";
    location: HttpLocation;
    tokenSizeInBytes: "TwoBytes" | "FourBytes";
    shuffle: Shuffle;
  }
  | { kind: "WeightedHttp"; url: string }
  | { kind: "Preprocessed"; path: string };

/** Run-config.md section 3.3. */
export type LearningRateSchedule =
  | { kind: "Constant"; baseLr: number; warmupInitLr: number; warmupSteps: number }
  | {
    kind: "Linear" | "Cosine";
    baseLr: number;
    warmupInitLr: number;
    finalLr: number;
    warmupSteps: number;
    totalSteps: number;
  }
  | {
    kind: "WarmupStableDecay";
    baseLr: number;
    warmupInitLr: number;
    cosineDecayFinalLr: number;
    linearDecayFinalLr: number;
    warmupSteps: number;
    stableSteps: number;
    cosineDecaySteps: number;
    linearDecaySteps: number;
  };

/** Run-config.md section 3.4. */
export type Optimizer =
  | { kind: "Dummy" }
  | {
    kind: "AdamW";
    betas: [number, number];
    weightDecay: number;
    eps: number;
    clipGradNorm: number | null;
  }
  | {
    kind: "Distro";
    clipGradNorm: number | null;
    weightDecay: number | null;
    compressionDecay: number;
    compressionTopk: number;
    compressionChunk: number;
    quantize1bit: boolean;
  };

export type Architecture = "HfLlama" | "HfDeepseek" | "HfAuto" | "Torchtitan";

/** `[model.LLM]` of a run, run-config.md section 3. */
export interface Model {
  maxSeqLen: number;
  coldStartWarmupSteps: number;
  architecture: Architecture;
  checkpoint: Checkpoint;
  dataType: "Pretraining" | "Finetuning";
  dataLocation: DataLocation;
  lrSchedule: LearningRateSchedule;
  optimizer: Optimizer;
}

export interface RunMetadata {
  name: string;
  description: string;
  numParameters: bigint;
  vocabSize: bigint;
}

export interface EpochRates {
  earningRateTotalShared: bigint;
  slashingRatePerClient: bigint;
}

export interface ClientsState {
  clients: JoinedClient[];
  nextActive: bigint;
  currentEpochRates: EpochRates;
  futureEpochRates: EpochRates;
}

/** Everything in the coordinator account after the discriminator. */
export interface CoordinatorState {
  version: bigint;
  metadata: RunMetadata;
  runId: string;
  runState: RunState;
  model: Model;
  config: CoordinatorConfig;
  progress: CoordinatorProgress;
  epochState: EpochState;
  /** Unix seconds at which `runState` was entered. */
  runStateStartUnixTimestamp: bigint;
  pendingPause: boolean;
  clientsState: ClientsState;
  isWarmupFirstTick: boolean;
  isTrainingFirstTick: boolean;
  clientVersion: string;
  nonce: bigint;
}

/** Closed interval of sequence indices, deterministic-selection.md section 5. */
export interface BatchId {
  start: bigint;
  end: bigint;
}

/** Committee roles, deterministic-selection.md section 3. */
export const Committee = { TieBreaker: 0, Verifier: 1, Trainer: 2 } as const;
export type Committee = (typeof Committee)[keyof typeof Committee];

export interface CommitteeProof {
  committee: Committee;
  position: bigint;
  index: bigint;
}
