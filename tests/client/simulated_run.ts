import type { ClientEvent, TimedEvent } from "../../lib/events/event.ts";
import { RunMonitor } from "../../lib/events/run_monitor.ts";
import type { IdleWork } from "../../lib/client/idle_evaluation.ts";
import { Checkpointer } from "../../lib/client/checkpointer.ts";
import { localTarget } from "../../lib/client/checkpoint_target.ts";
import { RunModel } from "../../lib/client/model_source.ts";
import type { SequenceSource } from "../../lib/client/read_ahead.ts";
import type { DataSource } from "../../lib/client/training_data.ts";
import { type StopReason, TrainingClient } from "../../lib/client/training_client.ts";
import type { CoordinatorState, Optimizer } from "../../lib/protocol/coordinator_state.ts";
import { emptyCoordinatorState } from "../../lib/protocol/empty_state.ts";
import { updateRun } from "../../lib/protocol/transitions.ts";
import { createFaults } from "./faults.ts";
import { SimulatedChain } from "./simulated_chain.ts";
import { type SimulatedPeer, SimulatedPeers } from "./simulated_peers.ts";
import {
  SIMULATED_OPTIMIZER,
  type SimulatedCheckpoints,
  SimulatedTrainer,
} from "./simulated_trainer.ts";

export interface SimulatedRunOptions {
  seed: number;
  clients: number;
  totalSteps: number;
  minClients?: number;
  /** As many as there are clients, when absent. */
  initMinClients?: number;
  /** Of the run and of every client at the start; `test` when absent. */
  clientVersion?: string;
  /** DisTrO when absent. */
  optimizer?: Optimizer;
  /** All clients save their weights and tell the chain where. */
  recordCheckpoints?: boolean;
  /** Sequences that are their own index, when absent. */
  data?: Partial<DataSource> & SequenceSource;
  /** Of the client with that number, from 1. */
  idle?: (client: number) => IdleWork;
  /** Cluster seconds. */
  epochTime?: number;
  lostMessages?: number;
  doubledMessages?: number;
  failedFetches?: number;
  lostTransactions?: number;
  lostUpdates?: number;
}

export interface SimulatedClient {
  readonly name: string;
  readonly peer: SimulatedPeer;
  readonly ended: Promise<StopReason>;
  readonly events: ClientEvent[];
  /** Disappears without a word. */
  kill(): void;
  /** Hears nothing and is not heard while asleep, as a stopped process. */
  sleep(asleep: boolean): void;
}

/** Sequences of one token: their own index. */
export const NUMBERED: SequenceSource = {
  read: ({ start, end }) =>
    Promise.resolve({
      tokens: Int32Array.from({ length: Number(end - start) + 1 }, (_, i) => Number(start) + i),
    }),
};

/** Cluster seconds per wall second: rounds must have time on a busy machine too. */
const CLOCK_RATE = 30;
/** No state is waited for longer. */
const UNTIL_MILLISECONDS = 60_000;

/** A run of real clients on a simulated chain, simulated peers and a simulated trainer. */
export class SimulatedRun {
  readonly chain: SimulatedChain;
  readonly peers: SimulatedPeers;
  readonly monitor = new RunMonitor();
  readonly clients: SimulatedClient[] = [];
  readonly checkpoints: SimulatedCheckpoints = new Map();
  readonly #faults;
  readonly #end = new AbortController();
  readonly #clientVersion: string | undefined;
  readonly #data: DataSource;
  readonly #idle: SimulatedRunOptions["idle"];
  readonly #recordCheckpoints: boolean;

  constructor(options: SimulatedRunOptions) {
    this.#clientVersion = options.clientVersion;
    this.#data = {
      ready: () => true,
      prepare: () => Promise.resolve(),
      ...options.data ?? NUMBERED,
    };
    this.#idle = options.idle;
    this.#recordCheckpoints = options.recordCheckpoints ?? false;
    this.#faults = createFaults(options.seed);
    const faults = this.#faults;
    this.chain = new SimulatedChain(initialState(options), CLOCK_RATE, {
      faults,
      lostTransactions: options.lostTransactions ?? 0,
      lostUpdates: options.lostUpdates ?? 0,
      delay: 3,
    });
    this.peers = new SimulatedPeers({
      faults,
      lostMessages: options.lostMessages ?? 0,
      doubledMessages: options.doubledMessages ?? 0,
      failedFetches: options.failedFetches ?? 0,
      delay: 5,
    });
    this.chain.resume();
    for (let i = 0; i < options.clients; i++) this.start();
  }

  /**
   * Starts one more client.
   *
   * @param refusal what its trainer says to every model
   */
  start(refusal?: Error): SimulatedClient {
    const number = this.clients.length + 1;
    const peer = this.peers.join(new Uint8Array(32).fill(number));
    const signer = new Uint8Array(32).fill(100 + number);
    const name = `client ${number}`;
    const events: ClientEvent[] = [];
    const emit = (event: ClientEvent) => {
      events.push(event);
      this.monitor.add({ ...event, time: performance.now(), client: name } as TimedEvent);
    };
    const duration = () => this.#faults.upTo(10);
    const model = new RunModel({
      network: peer,
      createTrainer: ({ model, optimizer }) => {
        if (refusal !== undefined) return Promise.reject(refusal);
        const weights = "parameters" in model
          ? model.parameters
          : this.checkpoints.get(model.directory);
        const trainer = new SimulatedTrainer(duration, weights, optimizer);
        trainer.checkpoints = this.checkpoints;
        return Promise.resolve(trainer);
      },
      // The first model is on no disk: every trainer begins with it.
      resolveDirectory: (checkpoint) =>
        Promise.resolve(checkpoint.kind === "Hub" ? checkpoint.repo.repoId : "simulated"),
      parameterShapes: () => new SimulatedTrainer(duration).parameters,
      microBatchSize: 1,
      threads: 1,
      emit,
    });
    const chain = this.chain.client(signer, () => asleep);
    const checkpointer = new Checkpointer({
      directory: name,
      format: {},
      keepSteps: null,
      target: localTarget(name),
      chain,
      signer,
      emit,
    });
    const client = new TrainingClient({
      identity: { signer, p2pIdentity: peer.publicKey },
      chain,
      network: peer,
      model,
      data: this.#data,
      idle: this.#idle?.(number),
      clientVersion: this.#clientVersion,
      saveCheckpoint: this.#recordCheckpoints
        ? (trainer, last) => checkpointer.save(trainer, last)
        : undefined,
      emit,
    });
    let asleep = false;
    const killed = new AbortController();
    const ended = client.run(AbortSignal.any([killed.signal, this.#end.signal]))
      .finally(() => Promise.all([peer.close(), checkpointer.close()]));
    const handle = {
      name,
      peer,
      ended,
      events,
      sleep: (now: boolean) => {
        asleep = now;
        peer.deaf = now;
      },
      kill: () => {
        this.peers.leave(peer);
        killed.abort();
      },
    };
    this.clients.push(handle);
    return handle;
  }

  /** Resolves when the chain has reached this state or step; rejects when it takes too long. */
  async until(condition: (state: CoordinatorState) => boolean): Promise<void> {
    const start = performance.now();
    while (!condition(this.chain.state)) {
      if (performance.now() - start > UNTIL_MILLISECONDS) {
        const { runState, progress } = this.chain.state;
        throw new Error(
          `not reached: state ${runState}, epoch ${progress.epoch}, step ${progress.step}`,
        );
      }
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  }

  /** Waits for all clients; after `limit` milliseconds those still running are stopped. */
  async finish(limit: number): Promise<StopReason[]> {
    const timer = setTimeout(() => this.#end.abort(), limit);
    const reasons = await Promise.all(this.clients.map((client) => client.ended));
    clearTimeout(timer);
    return reasons;
  }
}

function initialState(options: SimulatedRunOptions): CoordinatorState {
  const state = emptyCoordinatorState("simulated", options.clientVersion ?? "test");
  updateRun(state, {
    config: {
      warmupTime: 12n,
      cooldownTime: 1n,
      maxRoundTrainTime: 12n,
      roundWitnessTime: 2n,
      globalBatchSizeWarmupTokens: 0n,
      epochTime: BigInt(options.epochTime ?? 100_000),
      totalSteps: options.totalSteps,
      initMinClients: options.initMinClients ?? options.clients,
      minClients: options.minClients ?? options.clients,
      witnessNodes: 0,
      globalBatchSizeStart: 16,
      globalBatchSizeEnd: 16,
      verificationPercent: 0,
      waitingForMembersExtraTime: 2,
    },
    model: {
      maxSeqLen: 1,
      coldStartWarmupSteps: 0,
      architecture: "HfLlama",
      checkpoint: { kind: "Hub", repo: { repoId: "simulated", revision: null } },
      dataType: "Pretraining",
      dataLocation: { kind: "Dummy" },
      lrSchedule: { kind: "Constant", baseLr: 0.01, warmupInitLr: 0, warmupSteps: 0 },
      optimizer: options.optimizer ?? SIMULATED_OPTIMIZER,
    },
  });
  return state;
}
