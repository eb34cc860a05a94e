/**
 * The clock-driven half of the state machine: one `tick`, bit for bit what the program does.
 * docs/protocol/coordinator-state-machine.md sections 4 to 6.
 *
 * All functions change the given state. After an error the state is half changed, where the chain
 * would have rolled back: work on a {@linkcode cloneState}.
 */
import {
  ClientState,
  type CoordinatorState,
  type NodeIdentity,
  RunState,
} from "./coordinator_state.ts";
import { batchSizeAt } from "./batch_size.ts";
import { equalBytes, toHex } from "./bytes.ts";
import { quorum } from "./consensus.ts";
import { coordinatorError } from "./coordinator_error.ts";
import { emptyEpochState } from "./empty_state.ts";
import { MAX_CLIENTS, STORED_ROUNDS } from "./limits.ts";
import { addU64, panic } from "./panic.ts";
import { currentRound, isHalted, pendingClients, runStateText } from "./run_state.ts";

/** The moment in which an instruction is executed. */
export interface TickClock {
  /** Seconds of the Clock sysvar. */
  unixTimestamp: bigint;
  /** {@linkcode roundSeed} of that moment; any u64 for a simulation. */
  randomSeed: bigint;
}

/** `epochEnded` is null in the middle of an epoch, else whether the epoch was completed. */
export interface TickResult {
  epochEnded: boolean | null;
}

/** A deep copy that shares nothing. */
export function cloneState(state: CoordinatorState): CoordinatorState {
  return structuredClone(state);
}

/**
 * The tick as the program runs it: the core rules, then rates, join generation and rewards of the
 * epoch; section 6. The nonce is not counted here (see `transitions.ts`).
 *
 * @throws PsycheError `CoordinatorErrorHalted`, or `PROGRAM_PANIC`.
 */
export function runTick(state: CoordinatorState, clock: TickClock): TickResult {
  let pending: NodeIdentity[] = [];
  if (state.runState === RunState.WaitingForMembers) {
    state.isWarmupFirstTick = true;
    state.isTrainingFirstTick = true;
    pending = pendingClients(state);
  }
  const epochEnded = coreTick(state, pending, clock);
  if (epochEnded !== null) {
    distribute(state);
  } else if (
    state.epochState.firstRound && state.runState === RunState.Warmup && state.isWarmupFirstTick
  ) {
    state.clientsState.currentEpochRates = { ...state.clientsState.futureEpochRates };
    state.isWarmupFirstTick = false;
  } else if (
    state.epochState.firstRound && state.runState === RunState.RoundTrain &&
    state.isTrainingFirstTick
  ) {
    state.clientsState.nextActive = addU64(state.clientsState.nextActive, 1n);
    state.isTrainingFirstTick = false;
  }
  return { epochEnded };
}

/**
 * The first unix second in which a tick changes the run state, or null when none will (halted, or too
 * few clients have joined).
 */
export function nextTimeout(state: CoordinatorState): bigint | null {
  const { config, epochState } = state;
  switch (state.runState) {
    case RunState.WaitingForMembers:
      if (pendingClients(state).length < config.initMinClients) return null;
      return timeoutAt(state, BigInt(config.waitingForMembersExtraTime));
    case RunState.Warmup:
      if (epochState.clients.length < config.minClients) return state.runStateStartUnixTimestamp;
      return timeoutAt(state, config.warmupTime);
    case RunState.RoundTrain:
      return timeoutAt(state, config.maxRoundTrainTime);
    case RunState.RoundWitness:
      return timeoutAt(state, config.roundWitnessTime);
    case RunState.Cooldown:
      return timeoutAt(state, config.cooldownTime);
    default:
      return null;
  }
}

/** True when a tick at unix second `now` changes the run state. */
export function tickWouldChange(state: CoordinatorState, now: bigint): boolean {
  const due = nextTimeout(state);
  if (due === null) return false;
  // Zero-length states still last until the next second; the one exception is a Warmup without members.
  return now >= due;
}

/** A state never ends in the second it began. */
function timeoutAt(state: CoordinatorState, duration: bigint): bigint {
  return state.runStateStartUnixTimestamp + (duration === 0n ? 1n : duration);
}

function timedOut(state: CoordinatorState, now: bigint, duration: bigint): boolean {
  const start = state.runStateStartUnixTimestamp;
  return start !== now && now >= addU64(start, duration);
}

function epochTimedOut(state: CoordinatorState, now: bigint): boolean {
  const start = state.epochState.startTimestamp;
  return start !== now && now >= addU64(start, state.config.epochTime);
}

/** Enters a run state. */
export function changeState(state: CoordinatorState, next: RunState, now: bigint): void {
  if (state.runState === next) return panic(`the run is in state ${runStateText(next)} already`);
  state.runState = next;
  state.runStateStartUnixTimestamp = now;
}

/** Back to waiting, or the end of the run. */
export function startWaiting(state: CoordinatorState, now: bigint): void {
  const done = state.progress.step >= state.config.totalSteps;
  changeState(state, done ? RunState.Finished : RunState.WaitingForMembers, now);
}

/** Marks every healthy epoch member as withdrawn. */
export function withdrawAll(state: CoordinatorState): void {
  for (const client of state.epochState.clients) {
    if (client.state === ClientState.Healthy) client.state = ClientState.Withdrawn;
  }
}

/** Opens the next round of the epoch. */
export function startRoundTrain(state: CoordinatorState, clock: TickClock): void {
  const epoch = state.epochState;
  let height = 0;
  let dataIndex = state.progress.epochStartDataIndex;
  let head = 0;
  if (!epoch.firstRound) {
    const before = currentRound(state);
    head = (epoch.roundsHead + 1) % STORED_ROUNDS;
    height = before.height + 1;
    dataIndex = nextDataIndex(state);
  }
  epoch.roundsHead = head;
  epoch.rounds[head] = {
    witnesses: [],
    dataIndex,
    randomSeed: clock.randomSeed,
    height,
    clientsLen: epoch.clients.length,
    tieBreakerTasks: 0,
  };
  changeState(state, RunState.RoundTrain, clock.unixTimestamp);
}

/** First sequence index after the current round. */
function nextDataIndex(state: CoordinatorState): bigint {
  const { dataIndex } = currentRound(state);
  return addU64(dataIndex, BigInt(batchSizeAt(state.config, dataIndex, state.model.maxSeqLen)));
}

function exitUnhealthy(state: CoordinatorState, height: number): void {
  const epoch = state.epochState;
  const staying = epoch.clients.filter((client) => client.state === ClientState.Healthy);
  if (staying.length === epoch.clients.length) return;
  for (const client of epoch.clients) {
    if (client.state === ClientState.Healthy) continue;
    if (epoch.exitedClients.length === MAX_CLIENTS) {
      panic(`the list of exited clients holds ${MAX_CLIENTS} entries`);
    }
    epoch.exitedClients.push({ ...client, exitedHeight: height });
  }
  epoch.clients = staying;
}

function startCooldown(state: CoordinatorState, now: bigint): void {
  currentRound(state).witnesses = [];
  changeState(state, RunState.Cooldown, now);
}

/** Section 5. Returns null while the epoch goes on, else whether it was completed. */
function coreTick(
  state: CoordinatorState,
  pending: NodeIdentity[],
  clock: TickClock,
): boolean | null {
  if (isHalted(state.runState)) {
    throw coordinatorError("CoordinatorErrorHalted", runStateText(state.runState));
  }
  const now = clock.unixTimestamp;
  const { config } = state;
  switch (state.runState) {
    case RunState.WaitingForMembers:
      if (
        pending.length >= config.initMinClients &&
        timedOut(state, now, BigInt(config.waitingForMembersExtraTime))
      ) startWarmup(state, pending, now);
      return null;
    case RunState.Warmup:
      return tickWarmup(state, clock);
    case RunState.RoundTrain:
      if (timedOut(state, now, config.maxRoundTrainTime)) {
        changeState(state, RunState.RoundWitness, now);
      }
      return null;
    case RunState.RoundWitness:
      if (timedOut(state, now, config.roundWitnessTime)) endRound(state, clock);
      return null;
    default:
      if (!timedOut(state, now, config.cooldownTime)) return null;
      endEpoch(state, now);
      return true;
  }
}

function startWarmup(state: CoordinatorState, pending: NodeIdentity[], now: bigint): void {
  exitUnhealthy(state, currentRound(state).height);
  const waiting = new Set(pending.map((id) => toHex(id.signer)));
  const survivor = state.epochState.clients.some((client) => waiting.has(toHex(client.id.signer)));
  if (!survivor) leavePeerCheckpoint(state);
  state.epochState = {
    ...emptyEpochState(),
    firstRound: true,
    coldStartEpoch: state.epochState.coldStartEpoch,
    startStep: state.progress.step,
    startTimestamp: now,
    clients: pending.slice(0, MAX_CLIENTS)
      .map((id) => ({ id, state: ClientState.Healthy, exitedHeight: 0 })),
  };
  changeState(state, RunState.Warmup, now);
}

/** Nobody is left who could serve the weights: load them from where they were saved last. */
function leavePeerCheckpoint(state: CoordinatorState): void {
  const { checkpoint } = state.model;
  if (checkpoint.kind === "P2P") state.model.checkpoint = { kind: "Hub", repo: checkpoint.repo };
  if (checkpoint.kind === "P2PGcs") state.model.checkpoint = { kind: "Gcs", repo: checkpoint.repo };
}

/** From now on the members hold newer weights than the place they were loaded from. */
function enterPeerCheckpoint(state: CoordinatorState): void {
  const { checkpoint } = state.model;
  if (checkpoint.kind === "Hub" || checkpoint.kind === "Dummy") {
    state.model.checkpoint = { kind: "P2P", repo: checkpoint.repo };
  }
  if (checkpoint.kind === "Gcs") state.model.checkpoint = { kind: "P2PGcs", repo: checkpoint.repo };
}

function tickWarmup(state: CoordinatorState, clock: TickClock): boolean | null {
  if (timedOut(state, clock.unixTimestamp, state.config.warmupTime)) startRoundTrain(state, clock);
  else exitUnhealthy(state, 0);
  if (state.epochState.clients.length >= state.config.minClients) return null;
  startWaiting(state, clock.unixTimestamp);
  return false;
}

function endRound(state: CoordinatorState, clock: TickClock): void {
  const now = clock.unixTimestamp;
  const { config, epochState: epoch, progress } = state;
  epoch.firstRound = false;
  if (progress.step === 0xffffffff) panic("the step does not fit 32 bits");
  progress.step += 1;
  const round = currentRound(state);
  const witnesses = round.witnesses.length;
  exitUnhealthy(state, round.height);
  if (witnesses === 0) {
    withdrawAll(state);
    return startCooldown(state, now);
  }
  if (epochTimedOut(state, now) && epoch.lastStep === 0) {
    // Two more rounds without new training, so that the outstanding results get applied.
    const last = progress.step + 2;
    if (last > 0xffffffff) panic("the last step does not fit 32 bits");
    if (last >= 4) epoch.lastStep = last;
  }
  if (epoch.lastStep !== 0 && progress.step === epoch.lastStep) return startCooldown(state, now);
  if (
    epoch.clients.length < config.minClients ||
    witnesses < quorum(witnesses, config.witnessNodes) ||
    progress.step >= config.totalSteps ||
    state.pendingPause
  ) return startCooldown(state, now);
  startRoundTrain(state, clock);
}

function endEpoch(state: CoordinatorState, now: bigint): void {
  state.progress.epochStartDataIndex = nextDataIndex(state);
  if (state.progress.epoch === 0xffff) panic("the epoch does not fit 16 bits");
  state.progress.epoch += 1;
  exitUnhealthy(state, currentRound(state).height);
  enterPeerCheckpoint(state);
  if (state.pendingPause) {
    withdrawAll(state);
    changeState(state, RunState.Paused, now);
    state.pendingPause = false;
    state.epochState.coldStartEpoch = true;
  } else {
    startWaiting(state, now);
    state.epochState.coldStartEpoch = false;
  }
}

/** Rewards of an ended epoch: two cursors that only move on a match; section 6. */
function distribute(state: CoordinatorState): void {
  const { clients, exitedClients } = state.epochState;
  const { currentEpochRates: rates } = state.clientsState;
  let member = 0;
  let exited = 0;
  for (const joined of state.clientsState.clients) {
    const { signer } = joined.id;
    if (member < clients.length && equalBytes(signer, clients[member].id.signer)) {
      if (clients[member].state === ClientState.Healthy) {
        const share = rates.earningRateTotalShared / BigInt(clients.length);
        joined.earned = addU64(joined.earned, share);
      }
      member += 1;
    }
    if (exited < exitedClients.length && equalBytes(signer, exitedClients[exited].id.signer)) {
      if (exitedClients[exited].state === ClientState.Ejected) {
        joined.slashed = addU64(joined.slashed, rates.slashingRatePerClient);
      }
      exited += 1;
    }
  }
}
