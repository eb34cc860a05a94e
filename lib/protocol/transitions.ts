/**
 * The instructions of the coordinator program on decoded state: who may do what, and what it changes.
 * docs/protocol/coordinator-state-machine.md sections 7 to 12, onchain-coordinator.md section 4.
 *
 * Account checks (owner, authority, signature) are left to the chain. A refusal is a PsycheError whose
 * code is the on-chain error name, `PROGRAM_PANIC` where the program would abort. All functions change
 * the given state; after an error it is half changed, where the chain would have rolled back: work on
 * a `cloneState`.
 */
import {
  type Checkpoint,
  ClientState,
  Committee,
  type CommitteeProof,
  type CoordinatorConfig,
  type CoordinatorProgress,
  type CoordinatorState,
  type Model,
  type NodeIdentity,
  type Round,
  type RunMetadata,
  RunState,
  type Witness,
} from "./coordinator_state.ts";
import { equalBytes, toHex } from "./bytes.ts";
import { type CommitteeSelection, selectRoundCommittee } from "./committee.ts";
import { healthScore, quorum } from "./consensus.ts";
import { coordinatorError } from "./coordinator_error.ts";
import { CLIENT_VERSION_BYTES, MAX_CLIENTS, MAX_WITNESSES } from "./limits.ts";
import { utf8Length } from "./memory_image.ts";
import { mergeCheckpoint } from "./merge_checkpoint.ts";
import { addU64, panic } from "./panic.ts";
import { coldStartProblem, configProblems, modelProblems } from "./run_rules.ts";
import {
  currentRound,
  epochClientIndex,
  historicalClient,
  isActive,
  isHalted,
  previousRound,
  runStateText,
} from "./run_state.ts";
import {
  changeState,
  runTick,
  startRoundTrain,
  startWaiting,
  type TickClock,
  type TickResult,
  withdrawAll,
} from "./tick.ts";

/** The `tick` instruction: anybody may send it. @throws PsycheError `CoordinatorErrorHalted`. */
export function tick(state: CoordinatorState, clock: TickClock): TickResult {
  bumpNonce(state);
  return runTick(state, clock);
}

/**
 * `join_run`, section 7: registers or refreshes a client for the next epoch.
 *
 * @throws PsycheError `MoreClientsThanBatches`, `ClientsFull`.
 */
export function joinRun(state: CoordinatorState, id: NodeIdentity, clock: TickClock): void {
  bumpNonce(state);
  const { clients, nextActive } = state.clientsState;
  const known = clients.find((client) => equalBytes(client.id.signer, id.signer));
  if (known) {
    known.id = id;
    known.active = nextActive;
  } else {
    if (clients.length === state.config.globalBatchSizeEnd) {
      throw coordinatorError("MoreClientsThanBatches", `${clients.length} clients`);
    }
    if (clients.length === MAX_CLIENTS) throw coordinatorError("ClientsFull");
    clients.push({ id, earned: 0n, slashed: 0n, active: nextActive });
  }
  if (!isHalted(state.runState)) runTick(state, clock);
}

/**
 * `set_paused`, section 8. Pausing an active run takes effect at the end of its round and epoch.
 *
 * @throws PsycheError `CoordinatorErrorHalted`, `CoordinatorErrorCannotResume`, `ConfigSanityCheckFailed`,
 * `ModelSanityCheckFailed`, `ProgressSanityCheckFailed`.
 */
export function setPaused(state: CoordinatorState, paused: boolean, clock: TickClock): void {
  bumpNonce(state);
  if (paused) pause(state, clock.unixTimestamp);
  else resume(state, clock);
}

function pause(state: CoordinatorState, now: bigint): void {
  if (isHalted(state.runState)) {
    throw coordinatorError("CoordinatorErrorHalted", runStateText(state.runState));
  }
  if (isActive(state.runState)) {
    state.pendingPause = true;
    return;
  }
  withdrawAll(state);
  changeState(state, RunState.Paused, now);
  state.epochState.coldStartEpoch = true;
}

function resume(state: CoordinatorState, clock: TickClock): void {
  checkConfig(state.config);
  checkModel(state.model);
  checkColdStart(state);
  if (state.runState === RunState.Uninitialized) {
    state.runState = RunState.Paused;
    state.progress.step = 1;
  }
  if (state.progress.step === 0) throw coordinatorError("ProgressSanityCheckFailed");
  if (state.runState !== RunState.Paused) {
    throw coordinatorError("CoordinatorErrorCannotResume", runStateText(state.runState));
  }
  startWaiting(state, clock.unixTimestamp);
  state.clientsState.nextActive = addU64(state.clientsState.nextActive, 1n);
  runTick(state, clock);
}

/**
 * `witness`, section 9: an elected client reports the broadcasts it saw.
 *
 * @param from wallet of the sender.
 * @throws PsycheError `SignerNotAClient`, `CoordinatorErrorHalted`, `CoordinatorErrorInvalidRunState`,
 * `CoordinatorErrorInvalidCommitteeSelection`, `CoordinatorErrorInvalidWitness`,
 * `CoordinatorErrorDuplicateWitness`, `CoordinatorErrorWitnessesFull`.
 */
export function witness(
  state: CoordinatorState,
  from: Uint8Array,
  message: Witness,
  clock: TickClock,
): void {
  bumpNonce(state);
  checkJoined(state, from);
  checkNotHalted(state);
  const expected = expectedWitnesses(state);
  if (state.runState !== RunState.RoundTrain && state.runState !== RunState.RoundWitness) {
    throw coordinatorError("CoordinatorErrorInvalidRunState", runStateText(state.runState));
  }
  const round = currentRound(state);
  const selection = committeeOf(state, round);
  const { proof } = message;
  if (
    !isEpochClient(state, proof.index, from) || proof.witness !== 1 ||
    !selection.verifyWitness(proof)
  ) throw coordinatorError("CoordinatorErrorInvalidWitness", `index ${proof.index}`);
  addWitness(state, round, from, message);
  if (round.witnesses.length === expected && state.runState === RunState.RoundTrain) {
    changeState(state, RunState.RoundWitness, clock.unixTimestamp);
  }
  runTick(state, clock);
}

/**
 * `warmup_witness`, section 10: a client has loaded the model. The last expected one starts the first
 * round; late ones (already RoundTrain) are accepted without effect. The proof is not verified.
 *
 * @throws PsycheError `SignerNotAClient`, `CoordinatorErrorHalted`, `CoordinatorErrorInvalidRunState`,
 * `CoordinatorErrorDuplicateWitness`, `CoordinatorErrorWitnessesFull`, `PROGRAM_PANIC`.
 */
export function warmupWitness(
  state: CoordinatorState,
  from: Uint8Array,
  message: Witness,
  clock: TickClock,
): void {
  bumpNonce(state);
  checkJoined(state, from);
  checkNotHalted(state);
  if (state.runState !== RunState.RoundTrain) {
    if (state.runState !== RunState.Warmup) {
      throw coordinatorError("CoordinatorErrorInvalidRunState", runStateText(state.runState));
    }
    const round = currentRound(state);
    addWitness(state, round, from, message);
    if (round.witnesses.length === expectedWitnesses(state)) startRoundTrain(state, clock);
  }
  runTick(state, clock);
}

/**
 * `health_check`, section 11: marks a member dropped that too few witnesses of the previous round saw.
 *
 * @param from wallet of the sender; @param id the member; @param proof its proof in the previous round.
 * @throws PsycheError `SignerNotAClient`, `CoordinatorErrorHalted`, `CoordinatorErrorInvalidHealthCheck`,
 * `CoordinatorErrorNoActiveRound`, `CoordinatorErrorInvalidCommitteeProof`,
 * `CoordinatorErrorInvalidCommitteeSelection`, `PROGRAM_PANIC`.
 */
export function healthCheck(
  state: CoordinatorState,
  from: Uint8Array,
  id: NodeIdentity,
  proof: CommitteeProof,
  clock: TickClock,
): void {
  bumpNonce(state);
  checkJoined(state, from);
  checkNotHalted(state);
  const { height } = currentRound(state);
  if (height < 2) throw coordinatorError("CoordinatorErrorInvalidHealthCheck", `round ${height}`);
  if (isHealthy(state, id, proof)) {
    throw coordinatorError("CoordinatorErrorInvalidHealthCheck", toHex(id.signer));
  }
  const client = state.epochState.clients[Number(proof.index)];
  if (client.state === ClientState.Healthy) client.state = ClientState.Dropped;
  runTick(state, clock);
}

/**
 * Whether enough witnesses of the previous round saw the member that `proof` names.
 * Throws as {@linkcode healthCheck}.
 */
export function isHealthy(
  state: CoordinatorState,
  id: NodeIdentity,
  proof: CommitteeProof,
): boolean {
  const round = previousRound(state);
  if (round === null) throw coordinatorError("CoordinatorErrorNoActiveRound");
  const refuse = () =>
    coordinatorError("CoordinatorErrorInvalidCommitteeProof", `index ${proof.index}`);
  if (proof.index >= BigInt(round.clientsLen)) throw refuse();
  const client = historicalClient(state, Number(proof.index), round.clientsLen);
  if (client === null || !equalBytes(client.id.signer, id.signer)) throw refuse();
  const selection = committeeOf(state, round);
  if (!isEpochClient(state, proof.index, id.signer) || !selection.verifyCommittee(proof)) {
    throw refuse();
  }
  if (proof.committee !== Committee.Trainer) return panic("only trainers can be checked");
  return healthScore(round.witnesses, id.signer) >=
    quorum(round.witnesses.length, state.config.witnessNodes);
}

/**
 * `checkpoint`, section 12: an epoch member tells where it saved the weights. Combinations that make no
 * sense are accepted without effect.
 *
 * @throws PsycheError `SignerNotAClient`.
 */
export function checkpoint(
  state: CoordinatorState,
  from: Uint8Array,
  repo: Checkpoint,
  clock: TickClock,
): void {
  bumpNonce(state);
  checkJoined(state, from);
  if (epochClientIndex(state, from) < 0) throw notAClient(from);
  state.model.checkpoint = mergeCheckpoint(state.model.checkpoint, repo) ?? state.model.checkpoint;
  if (!isHalted(state.runState)) runTick(state, clock);
}

/** Parts of a run that its owner may replace. */
export interface RunUpdate {
  metadata?: RunMetadata;
  config?: CoordinatorConfig;
  model?: Model;
  progress?: CoordinatorProgress;
}

/**
 * `update`, onchain-coordinator.md section 4.3.
 *
 * @throws PsycheError `UpdateConfigFinished`, `UpdateConfigNotHalted`, `ConfigSanityCheckFailed`,
 * `ModelSanityCheckFailed`, `PROGRAM_PANIC`.
 */
export function updateRun(state: CoordinatorState, update: RunUpdate): void {
  bumpNonce(state);
  const { metadata, config, model, progress } = update;
  if (state.runState === RunState.Finished) throw coordinatorError("UpdateConfigFinished");
  if ((config || model || progress) && !isHalted(state.runState)) {
    throw coordinatorError("UpdateConfigNotHalted", runStateText(state.runState));
  }
  if (metadata) state.metadata = metadata;
  if (config) {
    checkConfig(config);
    state.config = config;
  }
  if (model) {
    checkModel(model);
    state.model = model;
  }
  if (config || model) checkColdStart(state);
  if (progress) {
    if (progress.step === 0) throw coordinatorError("ModelSanityCheckFailed", "step 0");
    state.progress = progress;
  }
}

/**
 * `update_client_version`, section 4.4; the nonce stays.
 *
 * @throws PsycheError `UpdateConfigNotHalted`, `PROGRAM_PANIC`.
 */
export function updateClientVersion(state: CoordinatorState, version: string): void {
  if (!isHalted(state.runState)) {
    throw coordinatorError("UpdateConfigNotHalted", runStateText(state.runState));
  }
  if (utf8Length(version) > CLIENT_VERSION_BYTES) {
    panic(`the client version is longer than ${CLIENT_VERSION_BYTES} bytes`);
  }
  state.clientVersion = version;
}

/** `set_future_epoch_rates`, section 4.5; counts from the next epoch on. */
export function setFutureEpochRates(
  state: CoordinatorState,
  rates: { earningRateTotalShared?: bigint; slashingRatePerClient?: bigint },
): void {
  bumpNonce(state);
  const future = state.clientsState.futureEpochRates;
  future.earningRateTotalShared = rates.earningRateTotalShared ?? future.earningRateTotalShared;
  future.slashingRatePerClient = rates.slashingRatePerClient ?? future.slashingRatePerClient;
}

/** Witnesses after which a phase ends early; section 9 step 3. */
export function expectedWitnesses(state: CoordinatorState): number {
  return state.config.witnessNodes || Math.min(state.epochState.clients.length, MAX_WITNESSES);
}

function bumpNonce(state: CoordinatorState): void {
  state.nonce = addU64(state.nonce, 1n);
}

function notAClient(signer: Uint8Array) {
  return coordinatorError("SignerNotAClient", toHex(signer));
}

function checkJoined(state: CoordinatorState, signer: Uint8Array): void {
  const joined = state.clientsState.clients.some((client) => equalBytes(client.id.signer, signer));
  if (!joined) throw notAClient(signer);
}

function checkNotHalted(state: CoordinatorState): void {
  if (isHalted(state.runState)) {
    throw coordinatorError("CoordinatorErrorHalted", runStateText(state.runState));
  }
}

function isEpochClient(state: CoordinatorState, index: bigint, signer: Uint8Array): boolean {
  const { clients } = state.epochState;
  return index < BigInt(clients.length) && equalBytes(clients[Number(index)].id.signer, signer);
}

function committeeOf(state: CoordinatorState, round: Round): CommitteeSelection {
  try {
    return selectRoundCommittee(state, round);
  } catch (cause) {
    const detail = cause instanceof Error ? cause.message : undefined;
    throw coordinatorError("CoordinatorErrorInvalidCommitteeSelection", detail);
  }
}

function addWitness(
  state: CoordinatorState,
  round: Round,
  from: Uint8Array,
  message: Witness,
): void {
  for (const { proof } of round.witnesses) {
    if (proof.index >= BigInt(state.epochState.clients.length)) {
      panic(`a stored witness names the client ${proof.index} outside of the epoch`);
    }
    if (isEpochClient(state, proof.index, from)) {
      throw coordinatorError("CoordinatorErrorDuplicateWitness", toHex(from));
    }
  }
  if (round.witnesses.length === MAX_WITNESSES) {
    throw coordinatorError("CoordinatorErrorWitnessesFull");
  }
  round.witnesses.push(message);
}

function checkConfig(config: CoordinatorConfig): void {
  const [problem] = configProblems(config);
  if (problem) throw coordinatorError(problem.code, `${problem.key}: ${problem.message}`);
}

function checkModel(model: Model): void {
  const [problem] = modelProblems(model);
  if (problem) throw coordinatorError(problem.code, `${problem.key}: ${problem.message}`);
}

function checkColdStart(state: CoordinatorState): void {
  const problem = coldStartProblem(state.config, state.model);
  if (problem) throw coordinatorError(problem.code, `${problem.key}: ${problem.message}`);
}
