import type {
  Bloom,
  Checkpoint,
  CommitteeProof,
  CoordinatorState,
  NodeIdentity,
  WitnessProof,
} from "../protocol/coordinator_state.ts";

/** A confirmed transaction. */
export interface Confirmation {
  signature: string;
  feeLamports: number;
}

/** What the witness transactions carry, docs/protocol/onchain-coordinator.md sections 4.9 and 4.10. */
export interface WitnessContent {
  proof: WitnessProof;
  participantBloom: Bloom;
  broadcastBloom: Bloom;
  broadcastMerkle: Uint8Array;
}

/** Self-reported figures of a witness, section 1.6 `WitnessMetadata`. Finite or +Infinity, never NaN. */
export interface WitnessFigures {
  step: number;
  tokensPerSecond: number;
  bandwidthPerSecond: number;
  loss: number;
  efficiency: number;
  /** Main metric of each evaluation task; at most 8, names of at most 32 bytes. */
  evals: { name: string; value: number }[];
  /** At most 16 tokens that continue the prompt of that place in the client's list. */
  promptResults: number[];
  promptIndex: number;
}

/**
 * The run as one client sees it: a stream of states, the cluster's clock and the transactions that this
 * wallet may send. Every sender rejects with a `PsycheError` whose code is the program's error name.
 */
export interface RunChain {
  /** Calls `onState` with each newer state until `signal` is aborted; resolves then. */
  watch(onState: (state: CoordinatorState) => void, signal: AbortSignal): Promise<void>;
  /** The cluster's unix time in milliseconds (it may run faster than the wall clock). */
  now(): number;
  /** Cluster milliseconds per wall millisecond. */
  readonly clockRate: number;
  join(identity: NodeIdentity, signal: AbortSignal): Promise<Confirmation>;
  tick(signal: AbortSignal): Promise<Confirmation>;
  warmupWitness(content: WitnessContent, signal: AbortSignal): Promise<Confirmation>;
  witness(
    content: WitnessContent,
    figures: WitnessFigures,
    signal: AbortSignal,
  ): Promise<Confirmation>;
  healthCheck(
    target: NodeIdentity,
    proof: CommitteeProof,
    signal: AbortSignal,
  ): Promise<Confirmation>;
  /** The run's state now. */
  read(): Promise<CoordinatorState>;
  /** Tells where the weights are; the chain ignores what does not fit to its own checkpoint. */
  checkpoint(checkpoint: Checkpoint): Promise<Confirmation>;
}
