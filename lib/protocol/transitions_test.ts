import assert from "node:assert/strict";
import fc from "fast-check";
import { PsycheError } from "../error.ts";
import {
  type Checkpoint,
  ClientState,
  type CoordinatorState,
  RunState,
} from "./coordinator_state.ts";
import { bloomAdd, createBloom } from "./bloom.ts";
import { selectRoundCommittee } from "./committee.ts";
import { decodeCoordinatorAccount, encodeCoordinatorAccount } from "./coordinator_account.ts";
import { emptyCoordinatorState } from "./empty_state.ts";
import { seed } from "./property_seed.ts";
import { roundSeed } from "./round_seed.ts";
import { currentRound, isHalted, previousRound } from "./run_state.ts";
import { sha256 } from "./sha256.ts";
import { configuredRun, identity, warmupWitnessOf, witnessOf } from "./state_fixture.ts";
import { cloneState, nextTimeout, tickWouldChange } from "./tick.ts";
import {
  checkpoint,
  healthCheck,
  joinRun,
  setFutureEpochRates,
  setPaused,
  tick,
  updateClientVersion,
  updateRun,
  warmupWitness,
  witness,
} from "./transitions.ts";

const at = (now: number | bigint) => ({
  unixTimestamp: BigInt(now),
  randomSeed: roundSeed(BigInt(now), BigInt(now)),
});

/** Ticks in the second in which the state is due. */
function advance(state: CoordinatorState): void {
  tick(state, at(nextTimeout(state)!));
}

/** A run of three clients in the given state of its first epoch. */
function runIn(target: RunState, changes = {}): CoordinatorState {
  const state = configuredRun({ witnessNodes: 0, ...changes });
  setPaused(state, false, at(1000));
  for (const byte of [1, 2, 3]) joinRun(state, identity(byte), at(1000));
  runUntil(state, target);
  return state;
}

/** Lets time pass; every member is a witness. */
function runUntil(state: CoordinatorState, target: RunState): void {
  while (state.runState !== target) {
    if (state.runState === RunState.RoundWitness) witnessAll(state);
    advance(state);
  }
}

function witnessAll(state: CoordinatorState): void {
  const now = at(state.runStateStartUnixTimestamp);
  state.epochState.clients.forEach((client, i) =>
    witness(state, client.id.signer, witnessOf(state, i), now)
  );
}

const now = (state: CoordinatorState) => at(state.runStateStartUnixTimestamp);
const refuses = (code: string, action: () => unknown) => assert.throws(action, { code });

Deno.test("joining: new, known and too many", () => {
  refuses(
    "MoreClientsThanBatches",
    () => joinRun(emptyCoordinatorState("", ""), identity(1), at(1)),
  );
  const state = configuredRun({ globalBatchSizeStart: 2, globalBatchSizeEnd: 2 });
  joinRun(state, identity(1), at(1));
  joinRun(state, { ...identity(1), p2pIdentity: new Uint8Array(32) }, at(1));
  assert.equal(state.clientsState.clients.length, 1);
  assert.deepEqual(state.clientsState.clients[0].id.p2pIdentity, new Uint8Array(32));
  joinRun(state, identity(2), at(1));
  refuses("MoreClientsThanBatches", () => joinRun(state, identity(3), at(1)));
  joinRun(state, identity(2), at(1));

  const full = configuredRun({ globalBatchSizeEnd: 300 });
  for (let i = 0; i < 256; i++) joinRun(full, identity(i), at(1));
  refuses("ClientsFull", () => {
    joinRun(
      full,
      { signer: new Uint8Array(32).fill(1, 1), p2pIdentity: new Uint8Array(32) },
      at(1),
    );
  });
});

Deno.test("pausing and resuming", () => {
  refuses("ConfigSanityCheckFailed", () => setPaused(emptyCoordinatorState("", ""), false, at(1)));
  refuses("CoordinatorErrorHalted", () => setPaused(configuredRun(), true, at(1)));
  const waiting = runIn(RunState.WaitingForMembers);
  refuses("CoordinatorErrorCannotResume", () => setPaused(cloneState(waiting), false, at(2000)));
  setPaused(waiting, true, at(2000));
  assert.equal(waiting.runState, RunState.Paused);
  assert.ok(waiting.epochState.coldStartEpoch);
  setPaused(waiting, false, at(2001));
  assert.equal(waiting.runState, RunState.WaitingForMembers);
  // Joins made before the resume are void.
  assert.equal(nextTimeout(waiting), null);

  const training = runIn(RunState.RoundTrain);
  setFutureEpochRates(training, { earningRateTotalShared: 99n });
  setPaused(training, true, now(training));
  assert.equal(training.runState, RunState.RoundTrain);
  runUntil(training, RunState.Paused);
  assert.ok(!training.pendingPause);
  assert.ok(training.epochState.clients.every((c) => c.state === ClientState.Withdrawn));
  assert.ok(training.clientsState.clients.every((c) => c.earned === 0n));
  assert.equal(training.model.checkpoint.kind, "P2P");
  // Everybody was withdrawn, so that the next epoch loads from the hub again.
  setPaused(training, false, at(3000));
  for (const byte of [1, 2]) joinRun(training, identity(byte), at(3000));
  advance(training);
  assert.equal(training.model.checkpoint.kind, "Hub");
  assert.ok(training.epochState.coldStartEpoch);

  training.runState = RunState.Paused;
  training.progress.step = training.config.totalSteps;
  refuses("CoordinatorErrorHalted", () => setPaused(training, false, at(4000)));
});

Deno.test("updates need a halted run and valid values", () => {
  const { config, model, metadata, progress } = configuredRun();
  const finished = configuredRun();
  finished.runState = RunState.Finished;
  refuses("UpdateConfigFinished", () => updateRun(finished, { metadata }));
  const running = runIn(RunState.WaitingForMembers);
  for (const update of [{ config }, { model }, { progress }]) {
    refuses("UpdateConfigNotHalted", () => updateRun(running, update));
  }
  updateRun(running, { metadata: { ...metadata, name: "new" } });
  assert.equal(running.metadata.name, "new");
  const halted = configuredRun();
  refuses("ConfigSanityCheckFailed", () => {
    updateRun(halted, { config: { ...config, totalSteps: 0 } });
  });
  refuses("ModelSanityCheckFailed", () => {
    updateRun(halted, { model: { ...model, maxSeqLen: 0 } });
  });
  refuses("ConfigSanityCheckFailed", () => {
    updateRun(halted, { model: { ...model, coldStartWarmupSteps: 2 } });
  });
  refuses("ModelSanityCheckFailed", () => {
    updateRun(halted, { progress: { ...progress, step: 0 } });
  });
  refuses("PROGRAM_PANIC", () => {
    updateRun(emptyCoordinatorState("", ""), { model: { ...model, coldStartWarmupSteps: 2 } });
  });
  const { nonce } = halted;
  updateClientVersion(halted, "v2");
  assert.equal(halted.clientVersion, "v2");
  assert.equal(halted.nonce, nonce);
  refuses("UpdateConfigNotHalted", () => updateClientVersion(running, "v2"));
  refuses("PROGRAM_PANIC", () => updateClientVersion(halted, "v".repeat(97)));
});

Deno.test("witnesses must be elected, in time and once", () => {
  const waiting = runIn(RunState.Warmup);
  const message = warmupWitnessOf(0);
  refuses("SignerNotAClient", () => witness(waiting, identity(9).signer, message, at(1)));
  refuses("CoordinatorErrorInvalidRunState", () => {
    witness(waiting, identity(1).signer, message, now(waiting));
  });
  const state = runIn(RunState.RoundTrain, { witnessNodes: 2 });
  const selection = selectRoundCommittee(state, currentRound(state));
  const elected = [0, 1, 2].filter((i) => selection.isWitness(i));
  const [other] = [0, 1, 2].filter((i) => !selection.isWitness(i));
  const signer = (i: number) => state.epochState.clients[i].id.signer;
  const send = (from: number, index: number, proof = {}) => {
    const message = witnessOf(state, index);
    const copy = cloneState(state);
    Object.assign(message.proof, proof);
    witness(copy, signer(from), message, now(state));
    return copy;
  };
  const wrong: [number, number, object][] = [
    [other, other, {}],
    [other, other, { witness: 1 }],
    [other, elected[0], {}],
    [elected[0], elected[0], { witness: 2 }],
    [elected[0], elected[0], { position: 7n }],
    [elected[0], elected[0], { index: 1n << 60n }],
  ];
  for (const [from, index, proof] of wrong) {
    refuses("CoordinatorErrorInvalidWitness", () => send(from, index, proof));
  }
  witness(state, signer(elected[0]), witnessOf(state, elected[0]), now(state));
  refuses("CoordinatorErrorDuplicateWitness", () => send(elected[0], elected[0]));
  assert.equal(state.runState, RunState.RoundTrain);
  assert.equal(send(elected[1], elected[1]).runState, RunState.RoundWitness);
  state.runState = RunState.Paused;
  refuses("CoordinatorErrorHalted", () => send(elected[1], elected[1]));
  state.runState = RunState.RoundTrain;
  state.config.verificationPercent = 101;
  refuses("CoordinatorErrorInvalidCommitteeSelection", () => {
    witness(state, signer(elected[1]), message, now(state));
  });
});

Deno.test("warmup ends with the last witness; late ones change nothing", () => {
  const state = runIn(RunState.Warmup);
  const send = (i: number) =>
    warmupWitness(state, state.epochState.clients[i].id.signer, warmupWitnessOf(i), now(state));
  send(0);
  refuses("CoordinatorErrorDuplicateWitness", () => send(0));
  send(1);
  assert.equal(state.runState, RunState.Warmup);
  send(2);
  assert.equal(state.runState, RunState.RoundTrain);
  assert.equal(currentRound(state).witnesses.length, 0);
  send(2);
  assert.equal(currentRound(state).witnesses.length, 0);
  advance(state);
  refuses("CoordinatorErrorInvalidRunState", () => send(2));

  const strange = runIn(RunState.Warmup);
  warmupWitness(strange, identity(1).signer, warmupWitnessOf(200), now(strange));
  refuses("PROGRAM_PANIC", () => {
    warmupWitness(strange, identity(2).signer, warmupWitnessOf(1), now(strange));
  });
});

Deno.test("a member that no witness saw is dropped, leaves with the round and earns nothing", () => {
  const state = runIn(RunState.RoundTrain);
  setFutureEpochRates(state, { earningRateTotalShared: 300n });
  state.clientsState.currentEpochRates.earningRateTotalShared = 300n;
  const check = (index: number) => {
    const round = previousRound(state) ?? currentRound(state);
    const { id } = state.epochState.clients[index];
    const proof = selectRoundCommittee(state, round).committeeProof(index);
    healthCheck(state, identity(1).signer, id, proof, now(state));
  };
  refuses("CoordinatorErrorInvalidHealthCheck", () => check(2));
  const seen = createBloom([1n, 2n, 3n, 4n, 5n, 6n, 7n, 8n]);
  for (const byte of [1, 2]) bloomAdd(seen, sha256(identity(byte).signer));
  while (currentRound(state).height < 2) {
    state.epochState.clients.forEach((client, i) => {
      const message = { ...witnessOf(state, i), participantBloom: seen };
      witness(state, client.id.signer, message, now(state));
    });
    advance(state);
  }
  refuses("CoordinatorErrorInvalidHealthCheck", () => check(0));
  const proof = selectRoundCommittee(state, previousRound(state)!).committeeProof(2);
  const send = (changes: object, from = 1, about = 3) =>
    healthCheck(
      cloneState(state),
      identity(from).signer,
      identity(about),
      { ...proof, ...changes },
      now(state),
    );
  refuses("SignerNotAClient", () => send({}, 9));
  refuses("CoordinatorErrorInvalidCommitteeProof", () => send({}, 1, 2));
  refuses("CoordinatorErrorInvalidCommitteeProof", () => send({ position: 9n }));
  refuses("CoordinatorErrorInvalidCommitteeProof", () => send({ index: 3n }));
  refuses("CoordinatorErrorInvalidCommitteeProof", () => send({ committee: 1 }));
  check(2);
  assert.equal(state.epochState.clients[2].state, ClientState.Dropped);
  runUntil(state, RunState.WaitingForMembers);
  assert.equal(state.epochState.exitedClients.length, 1);
  assert.equal(state.epochState.exitedClients[0].exitedHeight, 2);
  assert.deepEqual(state.clientsState.clients.map((c) => c.earned), [150n, 150n, 0n]);
});

Deno.test("checkpoints merge with the stored kind, section 12", () => {
  const hub: Checkpoint = { kind: "Hub", repo: { repoId: "new", revision: "r" } };
  const gcs: Checkpoint = { kind: "Gcs", repo: { bucket: "new", prefix: null } };
  const repo = { repoId: "old", revision: null };
  const bucket = { bucket: "old", prefix: null };
  const cases: [Checkpoint, Checkpoint["kind"] | null, Checkpoint["kind"] | null][] = [
    [{ kind: "P2P", repo }, "P2P", "P2PGcs"],
    [{ kind: "P2PGcs", repo: bucket }, "P2P", "P2PGcs"],
    [{ kind: "Hub", repo }, "Hub", null],
    [{ kind: "Gcs", repo: bucket }, null, "Gcs"],
    [{ kind: "Dummy", repo }, null, null],
    [{ kind: "Ephemeral" }, null, null],
  ];
  const state = runIn(RunState.Warmup);
  for (const [stored, afterHub, afterGcs] of cases) {
    const send = (sent: Checkpoint, kind: Checkpoint["kind"] | null) => {
      state.model.checkpoint = stored;
      checkpoint(state, identity(1).signer, sent, now(state));
      assert.deepEqual(state.model.checkpoint, kind === null ? stored : { ...sent, kind });
    };
    send(hub, afterHub);
    send(gcs, afterGcs);
    send({ kind: "P2P", repo }, null);
  }
  refuses("SignerNotAClient", () => checkpoint(state, identity(9).signer, hub, now(state)));
  joinRun(state, identity(4), now(state));
  refuses("SignerNotAClient", () => checkpoint(state, identity(4).signer, hub, now(state)));
});

Deno.test("a round without witnesses ends the epoch without pay", () => {
  const state = runIn(RunState.RoundWitness);
  state.clientsState.currentEpochRates.earningRateTotalShared = 300n;
  advance(state);
  assert.equal(state.runState, RunState.Cooldown);
  advance(state);
  assert.equal(state.runState, RunState.WaitingForMembers);
  assert.ok(state.clientsState.clients.every((client) => client.earned === 0n));
  assert.equal(state.epochState.exitedClients.length, 3);
});

Deno.test("the last step finishes the run", () => {
  const state = runIn(RunState.RoundWitness, { totalSteps: 2 });
  witnessAll(state);
  advance(state);
  advance(state);
  assert.equal(state.runState, RunState.Finished);
  refuses("CoordinatorErrorHalted", () => tick(state, at(9999)));
  assert.equal(nextTimeout(state), null);
});

/** Something that happens to a run: who does it, and how many seconds later (-1: when a tick is due). */
const events = fc.record({
  kind: fc.oneof(
    { weight: 12, arbitrary: fc.constantFrom("tick", "witness") },
    { weight: 4, arbitrary: fc.constantFrom("join", "warmup", "health") },
    { weight: 1, arbitrary: fc.constantFrom("pause", "resume", "resume") },
  ),
  who: fc.nat(3),
  wait: fc.constantFrom(0, 0, 0, -1, -1, 1, 5),
});

function happen(state: CoordinatorState, kind: string, who: number, now: bigint): void {
  const { signer } = identity(who);
  const index = Math.min(who, Math.max(0, state.epochState.clients.length - 1));
  const sender = state.epochState.clients[index]?.id.signer ?? signer;
  switch (kind) {
    case "tick":
      return void tick(state, at(now));
    case "join":
      return joinRun(state, identity(who), at(now));
    case "witness":
      if (index >= currentRound(state).clientsLen) return;
      return witness(state, sender, witnessOf(state, index), at(now));
    case "warmup":
      return warmupWitness(state, sender, warmupWitnessOf(index), at(now));
    case "health": {
      const round = previousRound(state);
      if (round === null || index >= round.clientsLen) return;
      const proof = selectRoundCommittee(state, round).committeeProof(index);
      return healthCheck(state, signer, { signer: sender, p2pIdentity: sender }, proof, at(now));
    }
    default:
      return setPaused(state, kind === "pause", at(now));
  }
}

Deno.test("whatever happens, the run stays consistent and ticks are foreseen", () => {
  fc.assert(
    fc.property(
      fc.array(events, { minLength: 100, maxLength: 200, size: "max" }),
      fc.integer({ min: 0, max: 2 }),
      (history, witnessNodes) => {
        let state = configuredRun({ witnessNodes, totalSteps: 12 });
        let now = 1000n;
        setPaused(state, false, at(now));
        for (const { kind, who, wait } of history) {
          const due = nextTimeout(state) ?? now;
          now = wait >= 0 ? now + BigInt(wait) : due > now ? due : now;
          const next = cloneState(state);
          const foreseen = tickWouldChange(state, now);
          try {
            happen(next, kind, who, now);
          } catch (error) {
            assert.ok(error instanceof PsycheError, String(error));
            assert.notEqual(error.code, "PROGRAM_PANIC");
            if (kind === "tick") assert.ok(isHalted(state.runState));
            continue; // The chain rolls back: so does dropping the copy.
          }
          if (kind === "tick") assert.equal(next.runState !== state.runState, foreseen);
          state = next;
          const { height } = currentRound(state);
          if (state.runState === RunState.RoundTrain || state.runState === RunState.RoundWitness) {
            assert.equal(height, state.progress.step - state.epochState.startStep);
            assert.equal(state.epochState.roundsHead, height % 4);
          }
          assert.ok(state.progress.step <= state.config.totalSteps);
        }
        assert.deepEqual(decodeCoordinatorAccount(encodeCoordinatorAccount(state)), state);
      },
    ),
    { seed: seed(), numRuns: 25 },
  );
});
