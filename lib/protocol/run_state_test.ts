import assert from "node:assert/strict";
import { ClientState, RunState } from "./coordinator_state.ts";
import { emptyCoordinatorState } from "./empty_state.ts";
import {
  currentRound,
  epochClientIndex,
  historicalClient,
  isActive,
  isHalted,
  pendingClients,
  previousPreviousRound,
  previousRound,
  runStateText,
} from "./run_state.ts";
import { identity } from "./state_fixture.ts";

const member = (byte: number) => ({
  id: identity(byte),
  state: ClientState.Healthy,
  exitedHeight: 0,
});

Deno.test("states are halted, active or neither", () => {
  const names = Object.entries(RunState);
  const of = (test: (state: RunState) => boolean) =>
    names.filter(([, state]) => test(state)).map(([name]) => name).join(" ");
  assert.equal(of(isHalted), "Uninitialized Finished Paused");
  assert.equal(of(isActive), "RoundTrain RoundWitness Cooldown");
  assert.equal(
    names.map(([, state]) => runStateText(state)).join(", "),
    "Uninitialized, Waiting for members, Warmup, Training, Witness, Cooldown, Finished, Paused",
  );
});

Deno.test("earlier rounds, with the quirk of the second round", () => {
  const state = emptyCoordinatorState("", "");
  const { epochState: epoch } = state;
  const at = (head: number, height: number) => {
    epoch.roundsHead = head;
    epoch.rounds[head].height = height;
    const slot = (round: ReturnType<typeof previousRound>) =>
      round === null ? null : epoch.rounds.indexOf(round);
    return [
      slot(currentRound(state)),
      slot(previousRound(state)),
      slot(previousPreviousRound(state)),
    ];
  };
  assert.deepEqual(at(0, 0), [0, null, null]);
  assert.deepEqual(at(1, 1), [1, 0, 3]);
  assert.deepEqual(at(2, 2), [2, 1, 0]);
  assert.deepEqual(at(3, 3), [3, 2, 1]);
  assert.deepEqual(at(0, 4), [0, 3, 2]);
});

Deno.test("clients that left are found from the end of the exited list", () => {
  const state = emptyCoordinatorState("", "");
  state.epochState.clients = [member(1), member(2)];
  state.epochState.exitedClients = [member(3), member(4)];
  const found = (index: number, clients: number) =>
    historicalClient(state, index, clients)?.id.signer[0] ?? null;
  assert.deepEqual([0, 1, 2, 3, 4].map((index) => found(index, 4)), [1, 2, 3, 4, null]);
  // With three clients the last one to leave stood at index 2.
  assert.deepEqual([0, 1, 2, 3].map((index) => found(index, 3)), [1, 2, 4, null]);
  // More are missing than have left.
  assert.deepEqual([2, 3, 4, 5].map((index) => found(index, 6)), [null, null, 3, 4]);
});

Deno.test("members and those who wait", () => {
  const state = emptyCoordinatorState("", "");
  state.epochState.clients = [member(1), member(2)];
  assert.equal(epochClientIndex(state, identity(2).signer), 1);
  assert.equal(epochClientIndex(state, identity(3).signer), -1);
  state.clientsState.nextActive = 2n;
  state.clientsState.clients = [1n, 2n, 2n].map((active, i) => ({
    id: identity(i),
    earned: 0n,
    slashed: 0n,
    active,
  }));
  assert.deepEqual(pendingClients(state), [identity(1), identity(2)]);
});
