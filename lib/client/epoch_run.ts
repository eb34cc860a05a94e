import { PsycheError } from "../error.ts";
import type { EventSink } from "../events/event.ts";
import { batchIdText } from "../protocol/assignment.ts";
import { batchSizeAt } from "../protocol/batch_size.ts";
import { BLOOM_KEYS } from "../protocol/bloom.ts";
import { type CoordinatorState, RunState } from "../protocol/coordinator_state.ts";
import { coldStartBounds, trainingRates } from "../protocol/learning_rate.ts";
import { merkleRoot } from "../protocol/merkle.ts";
import { currentRound, previousRound } from "../protocol/run_state.ts";
import type { Trainer } from "../trainer/trainer.ts";
import { applyRound } from "./apply_round.ts";
import { unhealthyMembers } from "./health.ts";
import { readAhead, type ReadBatch, type SequenceSource } from "./read_ahead.ts";
import type { IdleWork } from "./idle_evaluation.ts";
import type { ResultExchange } from "./result_exchange.ts";
import { roundKey, RoundRecord } from "./round_record.ts";
import type { Confirmation, RunChain } from "./run_chain.ts";
import { type RoundStatistics, warmupWitnessContent, witnessContent } from "./witnessing.ts";

/** What an epoch needs of the client that takes part in it. */
export interface EpochContext {
  chain: RunChain;
  data: SequenceSource;
  exchange: ResultExchange;
  statistics: RoundStatistics;
  /** What uses the trainer while it has nothing to train. */
  idle?: IdleWork;
  emit: EventSink;
  /** Sends in the background and reports the outcome itself. */
  send(name: string, send: (signal: AbortSignal) => Promise<Confirmation>): void;
  /** A round begins: the weights change from here on. */
  trainingBegins(): void;
  /** This client cannot go on in the epoch. */
  leave(reason: string): void;
  /** This client cannot go on at all. */
  fail(error: unknown): void;
  /** Aborted when the client ends. */
  end: AbortSignal;
}

/** Shortest time to look for an accepted result that has not arrived, wall milliseconds. */
const MINIMUM_PATIENCE = 5_000;

/**
 * One client's part in one epoch, from the moment its model is ready until Cooldown: readiness, rounds,
 * witness messages. docs/protocol/client-lifecycle.md sections 6 and 7.
 *
 * Rounds are identified by their height, so a missed one is noticed: going on would mean other weights
 * than the other members have.
 */
export class EpochRun {
  readonly startTimestamp: bigint;
  readonly trainer: Trainer;
  readonly #context: EpochContext;
  #state: CoordinatorState;
  /** Own index in the epoch's client list; it moves up when members leave. */
  #index: number;
  /** Key of the round that was entered last, null in Warmup. */
  #round: string | null = null;
  /** Aborted when the round's training time is over. */
  #training = new AbortController();
  /** True once the own share of the current round is trained, or there is none. */
  #trained = false;
  #announcedFinished = false;
  /** True once the witness message of the current round (or of Warmup) is on its way. */
  #witnessed = false;
  /** Apply and training of one round after the other. */
  #work: Promise<void> = Promise.resolve();
  #closed = false;
  /** Aborted when the epoch is given up: what is queued must not touch the weights any more. */
  readonly #abandoned = new AbortController();
  /** True when an accepted result could not be applied. */
  #incomplete = false;

  /** @param state a state in Warmup, with this client at `index` */
  constructor(context: EpochContext, trainer: Trainer, state: CoordinatorState, index: number) {
    this.#context = context;
    this.trainer = trainer;
    this.startTimestamp = state.epochState.startTimestamp;
    this.#state = state;
    this.#index = index;
  }

  /** True when rounds were trained and this client holds what they made of the weights. */
  get hasNewWeights(): boolean {
    return this.#round !== null && !this.#incomplete;
  }

  /** True when no round of the epoch, which `state` shows over, was missed. */
  followedTo(state: CoordinatorState): boolean {
    const { startTimestamp, firstRound } = state.epochState;
    if (startTimestamp !== this.startTimestamp) return false;
    if (this.#round === null) return firstRound;
    return this.#context.exchange.current?.height === currentRound(state).height;
  }

  /** Tells the other members that this one is ready. */
  async announceReady(): Promise<void> {
    const record = RoundRecord.warmup(this.#state);
    const { exchange } = this.#context;
    exchange.begin(record);
    await exchange.announceFinished(record, this.#index, merkleRoot(record.broadcastHashes));
    // Peers that fetch the weights come first.
    if (this.#round === null && !this.#weightsAreServed) this.#idle();
    this.progress();
  }

  /** Follows the chain. Only for Warmup, RoundTrain and RoundWitness of this epoch. */
  update(state: CoordinatorState, index: number): void {
    this.#state = state;
    this.#index = index;
    if (state.runState === RunState.Warmup) return this.progress();
    const { height } = currentRound(state);
    if (this.#round !== roundKey(state.progress.epoch, height)) {
      const expected = this.#round === null ? 0 : this.#context.exchange.current!.height + 1;
      if (height !== expected) {
        return this.#context.leave(`round ${expected} was missed (now round ${height})`);
      }
      this.#enterRound();
    }
    if (state.runState === RunState.RoundWitness) {
      this.#training.abort();
      if (!this.#witnessed) this.#witness();
    } else this.progress();
  }

  /** Something arrived: maybe the phase can be closed early, sections 6 and 7.5. */
  progress(): void {
    if (this.#closed) return;
    const { runState } = this.#state;
    const { current, previous } = this.#context.exchange;
    if (runState === RunState.Warmup) return this.#confirmReadiness(current);
    if (runState !== RunState.RoundTrain || !current || current.key !== this.#round) return;
    if (!this.#trained || (previous !== null && !previous.complete)) return;
    if (!this.#announcedFinished) {
      this.#announcedFinished = true;
      const merkle = merkleRoot(previous?.broadcastHashes ?? []);
      this.#context.exchange.announceFinished(current, this.#index, merkle)
        .catch((error) => this.#context.fail(error));
    }
    if (!this.#witnessed && current.allFinished) this.#witness();
  }

  /** Ends the participation; resolves when the last results are applied. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#training.abort();
    this.#context.idle?.stop();
    this.#context.exchange.end();
    await this.#work;
    this.#idle();
  }

  /** Ends it without caring about the weights any more. */
  abandon(): void {
    this.#closed = true;
    this.#abandoned.abort();
    this.#training.abort();
    this.#context.idle?.stop();
    this.#context.exchange.end();
  }

  /** All members are ready: the chain may begin. */
  #confirmReadiness(warmup: RoundRecord | null): void {
    if (this.#witnessed || !warmup || warmup.committee !== null || !warmup.allFinished) return;
    this.#witnessed = true;
    if (this.#weightsAreServed) this.#idle();
    const content = warmupWitnessContent(warmup, this.#index);
    this.#context.send(
      "warmup_witness",
      (signal) => this.#context.chain.warmupWitness(content, signal),
    );
  }

  /** Section 7.2: health checks, rotate, then apply and train in the background. */
  #enterRound(): void {
    const { exchange, emit, trainingBegins } = this.#context;
    const state = this.#state;
    this.#context.idle?.stop();
    trainingBegins();
    const trained = currentRound(state).height >= 2 ? exchange.previous : null;
    if (trained && this.#wasElected()) this.#reportUnhealthy(trained);
    const record = RoundRecord.current(state, randomBloomKeys);
    exchange.rotate(record);
    this.#training.abort();
    this.#training = new AbortController();
    this.#round = record.key;
    this.#trained = this.#announcedFinished = this.#witnessed = false;
    const batches = record.batchesOf(this.#index);
    emit({
      type: "round",
      epoch: record.epoch,
      round: record.height,
      step: record.step,
      batches: batches.map(batchIdText),
      witness: record.committee?.isWitness(this.#index) ?? false,
    });
    const gone = this.#abandoned.signal;
    const training = AbortSignal.any([this.#training.signal, this.#context.end, gone]);
    const patience = this.#patience();
    const index = this.#index;
    // The reference takes its intervals from the last to the first.
    const nextBatch = readAhead(this.#context.data, [...batches].reverse(), training);
    this.#work = this.#work.then(async () => {
      if (gone.aborted) return;
      if (trained) await this.#apply(state, trained, patience);
      await this.#train(state, record, index, nextBatch, training);
      if (this.#round !== record.key) return;
      this.#trained = true;
      if (!this.#closed) this.#idle();
      this.progress();
    }).catch((error) => this.#workFailed(error));
  }

  /** Members that do not have the epoch's weights get them from the others. */
  get #weightsAreServed(): boolean {
    const { kind } = this.#state.model.checkpoint;
    return kind === "P2P" || kind === "P2PGcs";
  }

  /** The trainer has nothing to do until the next round, or the next epoch. */
  #idle(): void {
    if (this.#context.end.aborted || this.#abandoned.signal.aborted) return;
    this.#context.idle?.begin(this.trainer, this.#state.progress.step);
  }

  #apply(state: CoordinatorState, record: RoundRecord, signal: AbortSignal): Promise<unknown> {
    const { exchange, emit } = this.#context;
    const witnesses = previousRound(state)?.witnesses ?? [];
    return applyRound({ state, record, witnesses, exchange, trainer: this.trainer, emit, signal });
  }

  /** Peers keep results for two more rounds, so a missing one is worth asking for as long. */
  #patience(): AbortSignal {
    const roundTime = Number(this.#state.config.maxRoundTrainTime) * 1000 /
      this.#context.chain.clockRate;
    return AbortSignal.any([
      AbortSignal.timeout(Math.max(MINIMUM_PATIENCE, roundTime)),
      this.#context.end,
      this.#abandoned.signal,
    ]);
  }

  #workFailed(error: unknown): void {
    this.#incomplete = true;
    if (this.#context.end.aborted || this.#abandoned.signal.aborted) return;
    if (error instanceof PsycheError && error.code === "RESULT_MISSING") {
      return this.#context.leave(error.message);
    }
    // Whoever gave the epoch up has also given its trainer back.
    if (!this.#closed) this.#context.fail(error);
  }

  async #train(
    state: CoordinatorState,
    record: RoundRecord,
    index: number,
    nextBatch: () => Promise<ReadBatch | null>,
    signal: AbortSignal,
  ): Promise<void> {
    try {
      for (;;) {
        const batch = await nextBatch();
        if (batch === null || signal.aborted) return;
        await this.#trainBatch(state, record, index, batch, signal);
      }
    } catch (error) {
      if (signal.aborted) return;
      // The weights do not depend on it: what this client cannot read stays untrained in this round.
      if (!(error instanceof PsycheError) || error.code !== "DATA_UNAVAILABLE") throw error;
      this.#context.emit({ type: "warning", code: error.code, message: error.message });
    }
  }

  async #trainBatch(
    state: CoordinatorState,
    record: RoundRecord,
    index: number,
    { batchId, samples }: ReadBatch,
    signal: AbortSignal,
  ): Promise<void> {
    const { exchange, statistics, emit } = this.#context;
    const sequences = Number(batchId.end - batchId.start) + 1;
    const response = await this.trainer.train({
      step: record.step,
      ...samples,
      batch: sequences,
      ...trainingRates(state, record.step),
      resetOptimizer: coldStartBounds(state) !== null && record.height === 0,
      round: record.height,
    }, signal);
    if (signal.aborted) return;
    const { loss, milliseconds, result, nonce } = response;
    statistics.trained(milliseconds, loss);
    const bytes = await exchange.announceResult(record, index, batchId, result, nonce);
    emit({
      type: "trained",
      epoch: record.epoch,
      round: record.height,
      step: record.step,
      batch: batchIdText(batchId),
      sequences,
      tokens: samples.tokens.length,
      loss,
      milliseconds,
      bytes,
      bytes_dense: Number(this.trainer.numParameters) * 4,
    });
  }

  #witness(): void {
    const { chain, exchange, statistics, send } = this.#context;
    const state = this.#state;
    this.#witnessed = true;
    const { dataIndex } = currentRound(state);
    const sequences = batchSizeAt(state.config, dataIndex, state.model.maxSeqLen);
    statistics.roundEnded(sequences * state.model.maxSeqLen, performance.now());
    const content = witnessContent(exchange.current!, exchange.previous, this.#index);
    if (!content) return;
    const figures = {
      step: state.progress.step,
      tokensPerSecond: statistics.tokensPerSecond,
      bandwidthPerSecond: 0,
      loss: statistics.loss,
      efficiency: statistics.efficiency,
      ...(this.#context.idle?.report() ?? { evals: [], promptResults: [], promptIndex: 0 }),
    };
    send("witness", (signal) => chain.witness(content, figures, signal));
  }

  /** Whether this member was an elected witness of the round that has just ended. */
  #wasElected(): boolean {
    const { current } = this.#context.exchange;
    const index =
      current?.clients.findIndex((client) =>
        client.signer.toHex() === this.#state.epochState.clients[this.#index].id.signer.toHex()
      ) ?? -1;
    return index >= 0 && (current?.committee?.isWitness(index) ?? false);
  }

  #reportUnhealthy(trained: RoundRecord): void {
    const { chain, emit, send } = this.#context;
    for (const { target, proof } of unhealthyMembers(this.#state, trained)) {
      const member = target.signer.toHex().slice(0, 8);
      emit({ type: "unhealthy", member, step: this.#state.progress.step });
      send("health_check", (signal) => chain.healthCheck(target, proof, signal));
    }
  }
}

function randomBloomKeys(): BigUint64Array {
  return crypto.getRandomValues(new BigUint64Array(BLOOM_KEYS));
}
