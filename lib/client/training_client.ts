import { PsycheError } from "../error.ts";
import type { EventSink } from "../events/event.ts";
import type { PeerNetwork } from "../p2p/peer_network.ts";
import { batchIdText } from "../protocol/assignment.ts";
import { BLOOM_KEYS } from "../protocol/bloom.ts";
import { batchSizeAt } from "../protocol/batch_size.ts";
import {
  type BatchId,
  ClientState,
  type CoordinatorState,
  type NodeIdentity,
  RunState,
} from "../protocol/coordinator_state.ts";
import { quorum } from "../protocol/consensus.ts";
import { coldStartBounds, trainingRates } from "../protocol/learning_rate.ts";
import { merkleRoot } from "../protocol/merkle.ts";
import {
  currentRound,
  epochClientIndex,
  isHalted,
  pendingClients,
  previousRound,
  runStateText,
} from "../protocol/run_state.ts";
import type { Trainer } from "../trainer/trainer.ts";
import { applyRound } from "./apply_round.ts";
import { unhealthyMembers } from "./health.ts";
import { Mailbox } from "./mailbox.ts";
import type { ModelSource } from "./model_source.ts";
import { versionProblem } from "./preflight.ts";
import { ResultExchange } from "./result_exchange.ts";
import { roundKey, RoundRecord } from "./round_record.ts";
import type { Confirmation, RunChain } from "./run_chain.ts";
import { Ticker } from "./ticker.ts";
import { RoundStatistics, warmupWitnessContent, witnessContent } from "./witnessing.ts";

/** Reads training sequences; see lib/trainer/data. */
export interface SequenceSource {
  /** Row-major [sequences of the batch, sequenceLength] token ids. */
  read(batch: BatchId, signal?: AbortSignal): Promise<Int32Array>;
}

export interface TrainingClientOptions {
  identity: NodeIdentity;
  chain: RunChain;
  network: PeerNetwork;
  model: ModelSource;
  data: SequenceSource;
  /** Own version; a run that wants another one is refused with exit code 10. Undefined accepts all. */
  clientVersion?: string;
  /** Called at the end of each epoch with the step whose weights the trainer holds. */
  saveCheckpoint?: (trainer: Trainer, state: CoordinatorState) => Promise<void>;
  emit: EventSink;
}

/** Why a client ended without an error. */
export type StopReason = "finished" | "interrupted";

/** Errors of the program that say no more than "somebody was faster" or "that moment has passed". */
const HARMLESS = new Set([
  "CoordinatorErrorInvalidRunState",
  "CoordinatorErrorDuplicateWitness",
  "CoordinatorErrorInvalidWitness",
  "CoordinatorErrorInvalidHealthCheck",
  "CoordinatorErrorHalted",
  "CoordinatorErrorNoActiveRound",
]);

/** Joining can never succeed after one of these. */
const FINAL_JOIN_ERRORS = new Set([
  "ClientsFull",
  "MoreClientsThanBatches",
  "SignerMismatch",
  "ConstraintRaw",
  "AUTHORIZATION_MISSING",
  "INSUFFICIENT_FUNDS",
]);
/** Shortest time to look for an accepted result that has not arrived, wall milliseconds. */
const MINIMUM_PATIENCE = 5_000;
/** Failed joins after which the client gives up, and the wait between two of them. */
const MAX_JOIN_FAILURES = 5;
const JOIN_RETRY_MILLISECONDS = 1_000;

/** What the client does in the epoch that it takes part in. */
interface Participation {
  epoch: number;
  startTimestamp: bigint;
  trainer: Trainer;
  /** Key of the round that was entered last, null in Warmup. */
  round: string | null;
  /** Aborted when the round's training time is over. */
  training: AbortController;
  /** True once the own share of the current round is trained (or there is none). */
  trained: boolean;
  announcedFinished: boolean;
  witnessed: boolean;
  /** Apply and training of one round after the other. */
  work: Promise<void>;
}

/**
 * The life of one training client, from the first state of the run to its end:
 * docs/protocol/client-lifecycle.md sections 2 to 8.
 *
 * Rounds are identified by (epoch, height), so a missed update is noticed: the client then leaves the
 * epoch and comes back with the weights of its peers, instead of training on other weights than they.
 */
export class TrainingClient {
  readonly #options: TrainingClientOptions;
  readonly #mailbox = new Mailbox<CoordinatorState>();
  readonly #end = new AbortController();
  readonly #ticker: Ticker;
  readonly #exchange: ResultExchange;
  readonly #statistics = new RoundStatistics();
  #state: CoordinatorState | null = null;
  #stateKey = "";
  #waitingReason = "";
  #part: Participation | null = null;
  /** Epoch (start time) in which this client gave up; it takes part again in the next one. */
  #leftEpoch: bigint | null = null;
  #preparing = false;
  #joining = false;
  #joinFailures = 0;
  /** `next_active` of the chain when the last join was confirmed. */
  #joinedAs: bigint | null = null;
  /** Last work of the epoch that ended: remaining rounds, checkpoint. */
  #closing: Promise<unknown> = Promise.resolve();
  #fatal: unknown = null;
  #finished = false;

  constructor(options: TrainingClientOptions) {
    this.#options = options;
    this.#ticker = new Ticker(
      options.chain,
      options.identity.signer,
      () => this.#send("tick", (signal) => options.chain.tick(signal)),
    );
    this.#exchange = new ResultExchange({
      network: options.network,
      format: () => options.model.resultFormat(),
      emit: options.emit,
      clockRate: options.chain.clockRate,
      onProgress: () => this.#progress(),
    });
    options.network.onRequest(async (_from, request) => {
      const text = new TextDecoder().decode(request);
      return this.#exchange.answer(text) ?? await options.model.answer(text);
    });
  }

  /**
   * Runs until the run is finished or `signal` is aborted.
   *
   * @throws PsycheError `CLIENT_VERSION_MISMATCH` (exit code 10), `WALLET_USED_ELSEWHERE`, and what
   *   joining, loading the model or reading data throws
   */
  async run(signal: AbortSignal): Promise<StopReason> {
    const ended = AbortSignal.any([signal, this.#end.signal]);
    const watching = this.#options.chain.watch((state) => this.#mailbox.put(state), ended)
      .catch((error) => this.#fail(error));
    try {
      for (;;) {
        const state = await this.#mailbox.take(ended);
        if (state === null) break;
        this.#handle(state);
      }
      if (this.#fatal !== null) throw this.#fatal;
      return this.#finished ? "finished" : "interrupted";
    } finally {
      this.#end.abort();
      this.#ticker.stop();
      this.#part?.training.abort();
      this.#exchange.close();
      await Promise.allSettled([watching, this.#part?.work, this.#closing]);
    }
  }

  #fail(error: unknown): void {
    this.#fatal ??= error;
    this.#end.abort();
  }

  #handle(state: CoordinatorState): void {
    this.#state = state;
    this.#ticker.update(state);
    this.#announceState(state);
    this.#allowPeers(state);
    if (state.runState === RunState.Finished) {
      this.#closeEpoch(state);
      this.#closing.finally(() => {
        this.#finished = true;
        this.#end.abort();
      });
      return;
    }
    if (isHalted(state.runState)) {
      this.#closeEpoch(state);
      this.#checkVersion(state);
      return this.#waiting(`the run is ${runStateText(state.runState).toLowerCase()}`);
    }
    if (state.runState === RunState.WaitingForMembers) {
      this.#closeEpoch(state);
      this.#checkVersion(state);
      return this.#prepareAndJoin(state);
    }
    this.#takePart(state);
  }

  // --- outside of an epoch -------------------------------------------------------------------------

  #checkVersion(state: CoordinatorState): void {
    const problem = versionProblem(state, this.#options.clientVersion);
    if (problem === null) return;
    this.#fail(
      new PsycheError("CLIENT_VERSION_MISMATCH", `Run "${state.runId}" was changed: ${problem}.`, {
        exitCode: 10,
      }),
    );
  }

  /** Loads what can be loaded before joining, then joins; each state repeats what is still missing. */
  #prepareAndJoin(state: CoordinatorState): void {
    const { model, chain, identity } = this.#options;
    if (!model.ready(state)) {
      if (this.#preparing) return;
      this.#preparing = true;
      model.prepare(state, this.#end.signal)
        .then(() => this.#again(), (error) => this.#fail(error))
        .finally(() => this.#preparing = false);
      return;
    }
    const { nextActive } = state.clientsState;
    if (this.#joining || this.#joinedAs === nextActive || isJoined(state, identity)) return;
    this.#joining = true;
    const epoch = state.progress.epoch;
    chain.join(identity, this.#end.signal)
      .then(({ signature }) => {
        this.#joinedAs = nextActive;
        this.#joinFailures = 0;
        this.#options.emit({ type: "joined", epoch, signature });
      })
      .catch((error) => this.#joinFailed(error))
      .finally(() => this.#joining = false);
  }

  /** Tries again while that can help: the waiting window may be longer than a failure. */
  #joinFailed(error: unknown): void {
    if (this.#end.signal.aborted) return;
    const code = error instanceof PsycheError ? error.code : "JOIN_FAILED";
    const final = FINAL_JOIN_ERRORS.has(code) || ++this.#joinFailures >= MAX_JOIN_FAILURES;
    if (final) return this.#fail(error);
    const message = error instanceof Error ? error.message : String(error);
    this.#options.emit({ type: "transaction_failed", name: "join_run", code, message });
    setTimeout(() => this.#again(), JOIN_RETRY_MILLISECONDS);
  }

  /** Handles the last state once more, after something that it waited for is done. */
  #again(): void {
    if (this.#state) this.#mailbox.put(this.#state);
  }

  #waiting(reason: string): void {
    if (reason === this.#waitingReason) return;
    this.#waitingReason = reason;
    this.#options.emit({ type: "waiting", reason });
  }

  // --- in an epoch ---------------------------------------------------------------------------------

  #takePart(state: CoordinatorState): void {
    const { identity } = this.#options;
    const index = epochClientIndex(state, identity.signer);
    const member = state.epochState.clients[index];
    if (!member) {
      if (this.#part) this.#leave(state, "the coordinator no longer lists this client");
      return this.#waiting("the current epoch runs without this client; it joins at the next");
    }
    if (member.id.p2pIdentity.toHex() !== identity.p2pIdentity.toHex()) {
      return this.#fail(
        new PsycheError(
          "WALLET_USED_ELSEWHERE",
          "Another process joined the run with this wallet; use one wallet a client.",
        ),
      );
    }
    if (this.#leftEpoch === state.epochState.startTimestamp) return;
    if (member.state !== ClientState.Healthy && state.runState !== RunState.Cooldown) {
      return this.#leave(state, "the coordinator marked this client as not healthy");
    }
    switch (state.runState) {
      case RunState.Warmup:
        return this.#warmup(state, index);
      case RunState.RoundTrain:
      case RunState.RoundWitness:
        return this.#round(state, index);
      case RunState.Cooldown:
        return this.#cooldown(state);
    }
  }

  #warmup(state: CoordinatorState, index: number): void {
    if (this.#part?.startTimestamp === state.epochState.startTimestamp) {
      return this.#checkWarmup(this.#part, index);
    }
    if (this.#preparing) return;
    this.#preparing = true;
    this.#options.model.load(state, this.#end.signal)
      .then((trainer) => this.#begin(state, index, trainer), (error) => {
        if (error instanceof PsycheError && error.code.startsWith("MODEL_")) {
          this.#leave(state, error.message);
        } else this.#fail(error);
      })
      .finally(() => this.#preparing = false);
  }

  /** The model is there: tells the others, and the chain once all of them are ready. */
  async #begin(state: CoordinatorState, index: number, trainer: Trainer): Promise<void> {
    const now = this.#state;
    if (
      now?.runState !== RunState.Warmup ||
      now.epochState.startTimestamp !== state.epochState.startTimestamp
    ) return this.#leave(state, "loading the model took longer than the warmup");
    const record = RoundRecord.warmup(state);
    this.#exchange.begin(record);
    this.#part = {
      epoch: state.progress.epoch,
      startTimestamp: state.epochState.startTimestamp,
      trainer,
      round: null,
      training: new AbortController(),
      trained: true,
      announcedFinished: true,
      witnessed: false,
      work: Promise.resolve(),
    };
    await this.#exchange.announceFinished(record, index, merkleRoot(record.broadcastHashes));
    this.#again();
  }

  #checkWarmup(part: Participation, index: number): void {
    const record = this.#exchange.current;
    if (part.witnessed || part.round !== null || !record?.allFinished) return;
    part.witnessed = true;
    const content = warmupWitnessContent(record, index);
    this.#send("warmup_witness", (signal) => this.#options.chain.warmupWitness(content, signal));
  }

  #round(state: CoordinatorState, index: number): void {
    const part = this.#part;
    if (!part || part.startTimestamp !== state.epochState.startTimestamp) {
      return this.#leave(state, "the model was not ready when training began");
    }
    const { height } = currentRound(state);
    const key = roundKey(state.progress.epoch, height);
    if (part.round !== key) {
      const expected = part.round === null ? 0 : this.#exchange.current!.height + 1;
      if (height !== expected) {
        return this.#leave(state, `round ${expected} was missed (now round ${height})`);
      }
      this.#enterRound(state, part, index);
    }
    if (state.runState === RunState.RoundWitness) {
      part.training.abort();
      if (!part.witnessed) this.#witness(state, part, index);
    } else this.#progress();
  }

  /** Client-lifecycle.md section 7.2: apply, health check, rotate, train. */
  #enterRound(state: CoordinatorState, part: Participation, index: number): void {
    const { emit, model } = this.#options;
    model.trainingBegins();
    const record = RoundRecord.current(state, randomBloomKeys);
    const trained = record.height >= 2 ? this.#exchange.previous : null;
    const witnesses = previousRound(state)?.witnesses ?? [];
    if (trained && part.witnessed) this.#reportUnhealthy(state, trained);
    this.#exchange.rotate(record);
    part.training.abort();
    const training = new AbortController();
    const batches = record.batchesOf(index);
    Object.assign(part, {
      round: record.key,
      training,
      trained: false,
      announcedFinished: false,
      witnessed: false,
    });
    emit({
      type: "round",
      epoch: record.epoch,
      round: record.height,
      step: record.step,
      batches: batches.map(batchIdText),
      witness: record.committee?.isWitness(index) ?? false,
    });
    this.#reportPeers();
    const signal = AbortSignal.any([training.signal, this.#end.signal]);
    // Peers keep results for two more rounds, so a missing one is worth asking for as long.
    const patience = Number(state.config.maxRoundTrainTime) * 1000 / this.#options.chain.clockRate;
    const deadline = AbortSignal.any([
      AbortSignal.timeout(Math.max(MINIMUM_PATIENCE, patience)),
      this.#end.signal,
    ]);
    part.work = part.work.then(async () => {
      if (trained) {
        await applyRound({
          state,
          record: trained,
          witnesses,
          exchange: this.#exchange,
          trainer: part.trainer,
          emit,
          signal: deadline,
        });
      }
      await this.#train(state, part, record, index, batches, signal);
      if (part.round !== record.key) return;
      part.trained = true;
      this.#progress();
    }).catch((error) => this.#workFailed(state, error));
  }

  #workFailed(state: CoordinatorState, error: unknown): void {
    if (this.#end.signal.aborted) return;
    if (error instanceof PsycheError && error.code === "RESULT_MISSING") {
      return this.#leave(state, error.message);
    }
    this.#fail(error);
  }

  async #train(
    state: CoordinatorState,
    part: Participation,
    record: RoundRecord,
    index: number,
    batches: BatchId[],
    signal: AbortSignal,
  ): Promise<void> {
    const { data, emit } = this.#options;
    const bounds = coldStartBounds(state);
    // The reference takes its intervals from the last to the first.
    for (const batchId of [...batches].reverse()) {
      try {
        const tokens = await data.read(batchId, signal);
        const sequences = Number(batchId.end - batchId.start) + 1;
        const response = await part.trainer.train({
          step: record.step,
          tokens,
          batch: sequences,
          ...trainingRates(state, record.step),
          resetOptimizer: bounds !== null && record.height === 0,
          round: record.height,
        }, signal);
        if (signal.aborted) return;
        this.#statistics.trained(response.milliseconds, response.loss);
        const bytes = await this.#exchange.announceResult(
          record,
          index,
          batchId,
          response.result,
          response.nonce,
        );
        emit({
          type: "trained",
          epoch: record.epoch,
          round: record.height,
          step: record.step,
          batch: batchIdText(batchId),
          sequences,
          tokens: tokens.length,
          loss: response.loss,
          milliseconds: response.milliseconds,
          bytes,
          bytes_dense: Number(part.trainer.numParameters) * 4,
        });
      } catch (error) {
        if (signal.aborted) return;
        throw error;
      }
    }
  }

  /** Something arrived: maybe the round can be closed early, client-lifecycle.md section 7.5. */
  #progress(): void {
    const state = this.#state;
    const part = this.#part;
    if (!state || !part || this.#end.signal.aborted) return;
    const index = epochClientIndex(state, this.#options.identity.signer);
    if (state.runState === RunState.Warmup) return this.#checkWarmup(part, index);
    const { current, previous } = this.#exchange;
    if (state.runState !== RunState.RoundTrain || current?.key !== part.round) return;
    if (!part.trained || (previous !== null && !previous.complete)) return;
    if (!part.announcedFinished) {
      part.announcedFinished = true;
      const merkle = merkleRoot(previous?.broadcastHashes ?? []);
      this.#exchange.announceFinished(current!, index, merkle).catch((error) => this.#fail(error));
    }
    if (!part.witnessed && current!.allFinished) this.#witness(state, part, index);
  }

  #witness(state: CoordinatorState, part: Participation, index: number): void {
    const { current, previous } = this.#exchange;
    part.witnessed = true;
    const round = currentRound(state);
    const sequences = batchSizeAt(state.config, round.dataIndex, state.model.maxSeqLen);
    this.#statistics.roundEnded(sequences * state.model.maxSeqLen, performance.now());
    const content = witnessContent(current!, previous, index);
    if (!content) return;
    const figures = {
      step: state.progress.step,
      tokensPerSecond: this.#statistics.tokensPerSecond,
      bandwidthPerSecond: 0,
      loss: this.#statistics.loss,
      efficiency: this.#statistics.efficiency,
    };
    this.#send("witness", (signal) => this.#options.chain.witness(content, figures, signal));
  }

  #reportUnhealthy(state: CoordinatorState, trained: RoundRecord): void {
    for (const { target, proof } of unhealthyMembers(state, trained)) {
      const client = target.signer.toHex().slice(0, 8);
      this.#options.emit({ type: "unhealthy", client, step: state.progress.step });
      this.#send(
        "health_check",
        (signal) => this.#options.chain.healthCheck(target, proof, signal),
      );
    }
  }

  /** Saves, and joins the next epoch already: a join in Cooldown counts for it. */
  #cooldown(state: CoordinatorState): void {
    this.#closeEpoch(state);
    if (!state.pendingPause) this.#prepareAndJoin(state);
  }

  /** Ends the participation after its last work is done; the weights stay with the model source. */
  #closeEpoch(state: CoordinatorState): void {
    const part = this.#part;
    if (!part) return;
    part.training.abort();
    this.#exchange.end();
    this.#part = null;
    this.#options.model.epochEnded(part.trainer);
    this.#closing = part.work
      .then(async () => {
        if (part.round !== null) await this.#options.saveCheckpoint?.(part.trainer, state);
      })
      .catch((error) => this.#fail(error));
  }

  /** Gives up the current epoch but stays with the run. */
  #leave(state: CoordinatorState, reason: string): void {
    if (this.#leftEpoch === state.epochState.startTimestamp) return;
    this.#leftEpoch = state.epochState.startTimestamp;
    this.#options.emit({ type: "left_epoch", epoch: state.progress.epoch, reason });
    this.#part?.training.abort();
    this.#exchange.end();
    this.#part = null;
    this.#options.model.discard();
  }

  // --- shared --------------------------------------------------------------------------------------

  /** Sends in the background; a failure is an event, not an end. */
  async #send(
    name: string,
    send: (signal: AbortSignal) => Promise<Confirmation>,
  ): Promise<void> {
    try {
      const { signature, feeLamports } = await send(this.#end.signal);
      this.#options.emit({ type: "transaction", name, signature, fee_lamports: feeLamports });
    } catch (error) {
      if (this.#end.signal.aborted) return;
      const code = error instanceof PsycheError ? error.code : "TRANSACTION_FAILED";
      if (HARMLESS.has(code)) return;
      const message = error instanceof Error ? error.message : String(error);
      this.#options.emit({ type: "transaction_failed", name, code, message });
    }
  }

  #reportPeers(): void {
    const statistics = this.#options.network.statistics();
    const refused = [
      ...Object.values(statistics.messagesDropped),
      ...this.#exchange.dropped.values(),
    ];
    this.#options.emit({
      type: "peers",
      connected: statistics.connectedPeers,
      sent: statistics.bytesSent,
      received: statistics.bytesReceived,
      dropped: refused.reduce((total, count) => total + count, 0),
    });
  }

  #announceState(state: CoordinatorState): void {
    const round = currentRound(state);
    const key = `${state.runState}/${state.progress.epoch}/${state.progress.step}/` +
      `${state.epochState.clients.length}`;
    if (key === this.#stateKey) return;
    this.#stateKey = key;
    this.#options.emit({
      type: "state",
      run_state: runStateText(state.runState),
      epoch: state.progress.epoch,
      step: state.progress.step,
      round: round.height,
      clients: state.epochState.clients.length,
      member: epochClientIndex(state, this.#options.identity.signer) >= 0,
      witnesses: round.witnesses.length,
      quorum: quorum(state.epochState.clients.length || 1, state.config.witnessNodes),
    });
  }

  /** Members of the epoch and those who wait for the next one may talk to us. */
  #allowPeers(state: CoordinatorState): void {
    this.#options.network.setAllowList([
      ...state.epochState.clients.map((client) => client.id.p2pIdentity),
      ...pendingClients(state).map((client) => client.p2pIdentity),
    ]);
  }
}

/** True when the chain counts this identity for the next epoch. */
function isJoined(state: CoordinatorState, identity: NodeIdentity): boolean {
  const signer = identity.signer.toHex();
  const p2p = identity.p2pIdentity.toHex();
  return pendingClients(state).some((client) =>
    client.signer.toHex() === signer && client.p2pIdentity.toHex() === p2p
  );
}

function randomBloomKeys(): BigUint64Array {
  return crypto.getRandomValues(new BigUint64Array(BLOOM_KEYS));
}
