/** The trace of docs/protocol/coordinator-state-machine.md section 15. */
import assert from "node:assert/strict";
import { type CoordinatorState, type NodeIdentity, RunState } from "./coordinator_state.ts";
import { selectRoundCommittee } from "./committee.ts";
import { decodeCoordinatorAccount, encodeCoordinatorAccount } from "./coordinator_account.ts";
import { roundSeed } from "./round_seed.ts";
import { currentRound } from "./run_state.ts";
import { joinRun, setFutureEpochRates, setPaused, tick, witness } from "./transitions.ts";
import { configuredRun, identity, witnessOf } from "./state_fixture.ts";
import { nextTimeout, tickWouldChange } from "./tick.ts";

const TRACE = `
| 1000 | 50 | set_paused(false) | WaitingForMembers | 1000 | 1 | 0 | 0 | 0 | 0 | 0 | 0 | 0 | 1 | 0 | Hub |
| 1000 | 50 | join A | WaitingForMembers | 1000 | 1 | 0 | 0 | 0 | 0 | 0 | 0 | 0 | 1 | 0 | Hub |
| 1001 | 52 | join B | WaitingForMembers | 1000 | 1 | 0 | 0 | 0 | 0 | 0 | 0 | 0 | 1 | 0 | Hub |
| 1001 | 52 | join C | WaitingForMembers | 1000 | 1 | 0 | 0 | 0 | 0 | 0 | 0 | 0 | 1 | 0 | Hub |
| 1002 | 54 | tick | WaitingForMembers | 1000 | 1 | 0 | 0 | 0 | 0 | 0 | 0 | 0 | 1 | 0 | Hub |
| 1003 | 56 | tick | Warmup | 1003 | 1 | 0 | 0 | 0 | 0 | 0 | 0 | 0 | 1 | 0 | Hub |
| 1012 | 76 | tick | Warmup | 1003 | 1 | 0 | 0 | 0 | 0 | 0 | 0 | 0 | 1 | 0 | Hub |
| 1013 | 78 | tick | RoundTrain | 1013 | 1 | 0 | 0 | 0 | 0 | 1837593782101812151 | 0 | 0 | 2 | 0 | Hub |
| 1019 | 90 | witness from A | RoundWitness | 1019 | 1 | 0 | 0 | 0 | 0 | 1837593782101812151 | 1 | 0 | 2 | 0 | Hub |
| 1023 | 98 | tick | RoundTrain | 1023 | 2 | 0 | 1 | 1 | 4 | 8479603970288710078 | 0 | 0 | 2 | 0 | Hub |
| 1029 | 110 | witness from A | RoundWitness | 1029 | 2 | 0 | 1 | 1 | 4 | 8479603970288710078 | 1 | 0 | 2 | 0 | Hub |
| 1033 | 118 | tick | RoundTrain | 1033 | 3 | 0 | 2 | 2 | 9 | 6189653907163654759 | 0 | 5 | 2 | 0 | Hub |
| 1039 | 130 | witness from B | RoundWitness | 1039 | 3 | 0 | 2 | 2 | 9 | 6189653907163654759 | 1 | 5 | 2 | 0 | Hub |
| 1043 | 138 | tick | RoundTrain | 1043 | 4 | 0 | 3 | 3 | 14 | 960701815514120423 | 0 | 5 | 2 | 0 | Hub |
| 1049 | 150 | witness from A | RoundWitness | 1049 | 4 | 0 | 3 | 3 | 14 | 960701815514120423 | 1 | 5 | 2 | 0 | Hub |
| 1053 | 158 | tick | Cooldown | 1053 | 5 | 0 | 3 | 3 | 14 | 960701815514120423 | 0 | 5 | 2 | 0 | Hub |
| 1058 | 168 | tick | WaitingForMembers | 1058 | 5 | 1 | 3 | 3 | 14 | 960701815514120423 | 0 | 5 | 2 | 20 | P2P |
`;

/** The cells of the table after the event's name. */
function row(state: CoordinatorState): string {
  const round = currentRound(state);
  const name = Object.entries(RunState).find(([, value]) => value === state.runState)?.[0];
  return [
    name,
    state.runStateStartUnixTimestamp,
    state.progress.step,
    state.progress.epoch,
    state.epochState.roundsHead,
    round.height,
    round.dataIndex,
    round.randomSeed,
    round.witnesses.length,
    state.epochState.lastStep,
    state.clientsState.nextActive,
    state.progress.epochStartDataIndex,
    state.model.checkpoint.kind,
  ].join(" | ");
}

Deno.test("the state machine reproduces the conformance trace", () => {
  const members: Record<string, NodeIdentity> = {
    A: identity(1),
    B: identity(2),
    C: identity(3),
  };
  let state = configuredRun();
  setFutureEpochRates(state, { earningRateTotalShared: 900n });
  state.nonce = 0n;
  for (const line of TRACE.trim().split("\n")) {
    const [time, slot, event, ...cells] = line.split("|").map((c) => c.trim()).slice(1, -1);
    const unixTimestamp = BigInt(time);
    const clock = { unixTimestamp, randomSeed: roundSeed(unixTimestamp, BigInt(slot)) };
    const before = state.runState;
    const predicted = tickWouldChange(state, unixTimestamp);
    if (event === "tick") {
      tick(state, clock);
      assert.equal(state.runState !== before, predicted, `prediction at ${time}`);
    } else if (event.startsWith("join")) {
      joinRun(state, members[event.at(-1)!], clock);
    } else if (event.startsWith("witness")) {
      const selection = selectRoundCommittee(state, currentRound(state));
      const index = [0, 1, 2].find((i) => selection.isWitness(i))!;
      const from = members[event.at(-1)!].signer;
      assert.deepEqual(state.epochState.clients[index].id.signer, from);
      witness(state, from, witnessOf(state, index), clock);
    } else {
      setPaused(state, false, clock);
    }
    assert.equal(row(state), cells.join(" | "), `after ${event} at ${time}`);
    // The account holds everything: a round trip through its bytes changes nothing.
    const decoded = decodeCoordinatorAccount(encodeCoordinatorAccount(state));
    assert.deepEqual(decoded, state);
    state = decoded;
  }
  assert.equal(state.nonce, 17n);
  assert.deepEqual(
    state.clientsState.clients.map(({ earned, active }) => [earned, active]),
    [[300n, 1n], [300n, 1n], [300n, 1n]],
  );
  assert.equal(nextTimeout(state), null);
});

Deno.test("an epoch of 240 clients has four rounds and pays each the floored share", () => {
  const state = configuredRun({
    witnessNodes: 0,
    initMinClients: 240,
    minClients: 240,
    globalBatchSizeStart: 256,
    globalBatchSizeEnd: 256,
    roundWitnessTime: 10n,
    cooldownTime: 88n,
  });
  setFutureEpochRates(state, { earningRateTotalShared: 444444n });
  let now = 1000n;
  const clock = () => ({ unixTimestamp: now, randomSeed: roundSeed(now, now) });
  setPaused(state, false, clock());
  for (let i = 0; i < 240; i++) joinRun(state, identity(i), clock());
  let rounds = 0;
  for (; state.progress.epoch === 0; now++) {
    if (tickWouldChange(state, now)) {
      tick(state, clock());
      if (state.runState === RunState.RoundTrain) rounds++;
    }
    if (state.runState === RunState.RoundTrain) {
      const selection = selectRoundCommittee(state, currentRound(state));
      const { clients } = state.epochState;
      const elected = clients.map((_, i) => i).filter((i) => selection.isWitness(i));
      assert.equal(elected.length, 32);
      for (const index of elected) {
        witness(state, clients[index].id.signer, witnessOf(state, index), clock());
      }
    }
  }
  assert.equal(rounds, 4);
  assert.equal(state.runState, RunState.WaitingForMembers);
  assert.ok(state.clientsState.clients.every((client) => client.earned === 1851n));
});

Deno.test("round seeds of section 3", () => {
  assert.equal(roundSeed(0n, 0n), 15392584411371816759n);
  assert.equal(roundSeed(1700000000n, 1n), 10210088716070048456n);
  assert.equal(roundSeed(1733000000n, 305000000n), 11688190026807578128n);
});
