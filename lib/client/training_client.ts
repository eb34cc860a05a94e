import { PsycheError } from "../error.ts";
import type { EventSink } from "../events/event.ts";
import type { PeerNetwork } from "../p2p/peer_network.ts";
import { quorum } from "../protocol/consensus.ts";
import {
  ClientState,
  type CoordinatorState,
  type NodeIdentity,
  RunState,
} from "../protocol/coordinator_state.ts";
import {
  currentRound,
  epochClientIndex,
  isHalted,
  pendingClients,
  runStateText,
} from "../protocol/run_state.ts";
import type { Trainer } from "../trainer/trainer.ts";
import { type EpochContext, EpochRun } from "./epoch_run.ts";
import type { IdleWork } from "./idle_evaluation.ts";
import { Mailbox } from "./mailbox.ts";
import { isTooLarge, type ModelSource } from "./model_source.ts";
import { versionProblem } from "./preflight.ts";
import { ResultExchange } from "./result_exchange.ts";
import type { Confirmation, RunChain } from "./run_chain.ts";
import { companyProblem } from "./single_client.ts";
import { Ticker } from "./ticker.ts";
import type { DataSource } from "./training_data.ts";
import { RoundStatistics } from "./witnessing.ts";

export interface TrainingClientOptions {
  identity: NodeIdentity;
  chain: RunChain;
  network: PeerNetwork;
  model: ModelSource;
  data: DataSource;
  /** What uses the trainer while it has nothing to train. */
  idle?: IdleWork;
  /** Own version; a run that wants another one is refused with exit code 10. Undefined accepts all. */
  clientVersion?: string;
  /** Called at the end of each epoch with the weights that the next one starts from. */
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
/** Failed joins after which the client gives up, and the wait between two of them. */
const MAX_JOIN_FAILURES = 5;
const JOIN_RETRY_MILLISECONDS = 1_000;

/**
 * The life of one training client, from the first state of the run to its end: it joins, takes part in
 * epoch after epoch ({@linkcode EpochRun}), ticks when the chain needs it. Whatever goes wrong in an
 * epoch costs that epoch only: the client comes back at the next one with the weights of its peers.
 * docs/protocol/client-lifecycle.md sections 2, 3 and 8.
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
  #epoch: EpochRun | null = null;
  /** Epoch (start time) in which this client gave up; it takes part again in the next one. */
  #leftEpoch: bigint | null = null;
  #preparing = false;
  /** Warmup in which the model is being loaded. */
  #loading: { epoch: bigint; over: AbortController } | null = null;
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
      onProgress: () => this.#epoch?.progress(),
    });
    options.network.onRequest(async (_from, request) => {
      const text = new TextDecoder().decode(request);
      return this.#exchange.answer(text) ?? await options.model.answer(text);
    });
  }

  /**
   * Runs until the run is finished or `signal` is aborted.
   *
   * @throws PsycheError `CLIENT_VERSION_MISMATCH` (exit code 10), `WALLET_USED_ELSEWHERE`,
   *   `RUN_NEEDS_ONE_CLIENT`, and what joining, loading the model or reading data throws
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
      this.#options.idle?.stop();
      const last = this.#epoch?.close();
      this.#exchange.close();
      await Promise.allSettled([watching, last, this.#closing]);
    }
  }

  #fail(error: unknown): void {
    this.#fatal ??= error;
    this.#end.abort();
  }

  /** Handles the last state once more, after something that it waited for is done. */
  #again(): void {
    if (this.#state) this.#mailbox.put(this.#state);
  }

  #handle(state: CoordinatorState): void {
    this.#state = state;
    this.#ticker.update(state);
    this.#announceState(state);
    this.#allowPeers(state);
    if (this.#loading && !isWarmupOf(state, this.#loading.epoch)) this.#loading.over.abort();
    if (state.runState === RunState.Finished) {
      this.#closeEpoch(state);
      this.#closing.finally(() => {
        this.#finished = true;
        this.#end.abort();
      });
    } else if (isHalted(state.runState)) {
      this.#closeEpoch(state);
      this.#checkVersion(state);
      this.#waiting(`the run is ${runStateText(state.runState).toLowerCase()}`);
    } else if (state.runState === RunState.WaitingForMembers) {
      this.#closeEpoch(state);
      this.#checkVersion(state);
      this.#prepareAndJoin(state);
    } else this.#takePart(state);
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

  #failAlone(state: CoordinatorState, problem: string): void {
    this.#fail(
      new PsycheError(
        "RUN_NEEDS_ONE_CLIENT",
        `Run "${state.runId}" cannot be trained by this client: ${problem}.`,
      ),
    );
  }

  /** Loads what can be loaded before joining, then joins; each state repeats what is still missing. */
  #prepareAndJoin(state: CoordinatorState): void {
    const { model, data, chain, identity } = this.#options;
    if (!model.ready(state) || !data.ready(state)) {
      return this.#prepare(async () => {
        await data.prepare(state, this.#end.signal);
        if (!model.ready(state)) await model.prepare(state, this.#end.signal);
        this.#again();
      });
    }
    const { nextActive } = state.clientsState;
    if (this.#joining || this.#joinedAs === nextActive || isJoined(state, identity)) return;
    const company = companyProblem(state, identity.signer);
    if (company !== null) return this.#failAlone(state, company);
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

  /** Runs one preparation at a time, in the background; it must handle its expected errors itself. */
  #prepare(work: () => Promise<void>): void {
    if (this.#preparing) return;
    this.#preparing = true;
    work().catch((error) => this.#fail(error)).finally(() => this.#preparing = false);
  }

  /** Tries again while that can help: the waiting window may be longer than a failure. */
  #joinFailed(error: unknown): void {
    if (this.#end.signal.aborted) return;
    const code = error instanceof PsycheError ? error.code : "JOIN_FAILED";
    const final = FINAL_JOIN_ERRORS.has(code) || ++this.#joinFailures >= MAX_JOIN_FAILURES;
    if (final) return this.#fail(error);
    this.#reportFailure("join_run", code, error);
    setTimeout(() => this.#again(), JOIN_RETRY_MILLISECONDS);
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
      if (this.#epoch) this.#leave(state, "the coordinator no longer lists this client");
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
    if (state.runState === RunState.Cooldown) return this.#cooldown(state);
    if (member.state !== ClientState.Healthy) {
      return this.#leave(state, "the coordinator marked this client as not healthy");
    }
    if (this.#epoch?.startTimestamp === state.epochState.startTimestamp) {
      return this.#epoch.update(state, index);
    }
    if (state.runState !== RunState.Warmup) {
      return this.#leave(state, "the model was not ready when training began");
    }
    // Two may have joined at the same moment.
    const company = companyProblem(state, identity.signer);
    if (company !== null) return this.#failAlone(state, company);
    this.#prepare(() => this.#begin(state));
  }

  /** Gets the epoch's weights and tells the others, if Warmup is not over by then. */
  async #begin(state: CoordinatorState): Promise<void> {
    const { startTimestamp } = state.epochState;
    const over = new AbortController();
    this.#loading = { epoch: startTimestamp, over };
    let trainer: Trainer;
    try {
      // The last epoch's results may still be on their way into the weights.
      await this.#closing;
      // Peers may fetch the weights from here on.
      this.#options.idle?.stop();
      await this.#options.data.prepare(state, this.#end.signal);
      trainer = await this.#options.model.load(state, this.#end.signal, over.signal);
    } catch (error) {
      if (this.#end.signal.aborted) return;
      if (!(error instanceof PsycheError) || !/^(MODEL|HUB|GCS)_/.test(error.code)) throw error;
      // The next epoch would bring the same, and memory is no matter of the run.
      if (isTooLarge(error)) throw error;
      return this.#leave(state, error.message);
    } finally {
      this.#loading = null;
    }
    const now = this.#state!;
    const index = epochClientIndex(now, this.#options.identity.signer);
    if (!isWarmupOf(now, startTimestamp) || index < 0) {
      return this.#leave(state, "loading the model took longer than the warmup");
    }
    this.#epoch = new EpochRun(this.#epochContext(now), trainer, now, index);
    await this.#epoch.announceReady();
  }

  #epochContext(state: CoordinatorState): EpochContext {
    const { chain, data, idle, emit } = this.#options;
    return {
      chain,
      data,
      idle,
      exchange: this.#exchange,
      statistics: this.#statistics,
      emit,
      send: (name, send) => void this.#send(name, send),
      leave: (reason) => this.#leave(state, reason),
      fail: (error) => this.#fail(error),
      trainingBegins: () => this.#trainingBegins(),
      end: this.#end.signal,
    };
  }

  /** A round begins: the shared weights change from here on. */
  #trainingBegins(): void {
    this.#options.model.trainingBegins();
    const { messagesDropped, ...traffic } = this.#options.network.statistics();
    const dropped = [...Object.values(messagesDropped), ...this.#exchange.dropped.values()];
    this.#options.emit({
      type: "peers",
      connected: traffic.connectedPeers,
      sent: traffic.bytesSent,
      received: traffic.bytesReceived,
      dropped: dropped.reduce((total, count) => total + count, 0),
    });
  }

  /** Saves, and joins the next epoch already: a join in Cooldown counts for it. */
  #cooldown(state: CoordinatorState): void {
    this.#closeEpoch(state);
    if (!state.pendingPause) this.#prepareAndJoin(state);
  }

  /** Ends the participation after its last work is done; the weights stay with the model source. */
  #closeEpoch(state: CoordinatorState): void {
    const epoch = this.#epoch;
    if (!epoch) return;
    this.#epoch = null;
    if (epoch.followedTo(state)) {
      this.#options.model.epochEnded(epoch.trainer, state.progress.step);
    } else this.#options.model.discard();
    this.#closing = epoch.close()
      .then(async () => {
        if (epoch.hasNewWeights) await this.#options.saveCheckpoint?.(epoch.trainer, state);
      })
      .catch((error) => this.#fail(error));
  }

  /** Gives up an epoch but stays with the run. */
  #leave(state: CoordinatorState, reason: string): void {
    if (this.#leftEpoch === state.epochState.startTimestamp) return;
    this.#leftEpoch = state.epochState.startTimestamp;
    this.#options.emit({ type: "left_epoch", epoch: state.progress.epoch, reason });
    this.#epoch?.abandon();
    this.#epoch = null;
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
      const code = error instanceof PsycheError ? error.code : "TRANSACTION_FAILED";
      if (!this.#end.signal.aborted && !HARMLESS.has(code)) this.#reportFailure(name, code, error);
    }
  }

  #reportFailure(name: string, code: string, error: unknown): void {
    const message = error instanceof Error ? error.message : String(error);
    this.#options.emit({ type: "transaction_failed", name, code, message });
  }

  #announceState(state: CoordinatorState): void {
    const { runState, progress: { epoch, step }, epochState: { clients } } = state;
    const key = `${runState}/${epoch}/${step}/${clients.length}`;
    if (key === this.#stateKey) return;
    this.#stateKey = key;
    const round = currentRound(state);
    this.#options.emit({
      type: "state",
      run_state: runStateText(runState),
      epoch,
      step,
      round: round.height,
      clients: clients.length,
      member: epochClientIndex(state, this.#options.identity.signer) >= 0,
      witnesses: round.witnesses.length,
      quorum: quorum(clients.length || 1, state.config.witnessNodes),
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

/** True in the Warmup of the epoch that began at `startTimestamp`. */
function isWarmupOf(state: CoordinatorState, startTimestamp: bigint): boolean {
  return state.runState === RunState.Warmup && state.epochState.startTimestamp === startTimestamp;
}

/** True when the chain counts this identity for the next epoch. */
function isJoined(state: CoordinatorState, identity: NodeIdentity): boolean {
  const signer = identity.signer.toHex();
  const p2p = identity.p2pIdentity.toHex();
  return pendingClients(state).some((client) =>
    client.signer.toHex() === signer && client.p2pIdentity.toHex() === p2p
  );
}
