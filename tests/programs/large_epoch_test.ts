/** The 240-client epoch of docs/protocol/coordinator-state-machine.md section 15, and compute units. */
import assert from "node:assert/strict";
import { setFutureEpochRatesInstruction } from "../../lib/chain/coordinator_instructions.ts";
import { RunState } from "../../lib/protocol/coordinator_state.ts";
import { currentRound } from "../../lib/protocol/run_state.ts";
import { Chain, Run } from "./harness.ts";

/** Runs epochs of `count` clients and returns the largest compute units by instruction. */
function epoch(count: number, rounds: number, share: bigint) {
  const chain = new Chain();
  const run = new Run(chain).create().configure({
    initMinClients: count,
    minClients: count,
    witnessNodes: 0,
    roundWitnessTime: 10n,
    cooldownTime: 88n,
    globalBatchSizeEnd: 1000,
    globalBatchSizeWarmupTokens: 1n << 40n,
  });
  const units: Record<string, number> = {};
  const record = (what: string, used: number) => units[what] = Math.max(units[what] ?? 0, used);
  const tick = () => {
    const before = run.state().runState;
    const used = chain.run(run.tick()).units;
    const names = Object.keys(RunState);
    record(`tick ${names[before]} -> ${names[run.state().runState]}`, used);
  };
  const users = Array.from({ length: count }, (_, i) => chain.wallet(`user ${i}`));
  chain.run(
    setFutureEpochRatesInstruction({ ...run.asOwner(), earningRateTotalShared: 444_444n }),
    run.setPaused(false),
  );
  for (const user of users) record("join", chain.run(run.join(user)).units);
  const wait = (seconds: bigint) => chain.at(chain.time + seconds, chain.slot + 2n * seconds);
  wait(3n);
  tick();
  wait(10n);
  tick();
  for (let round = 0; round < rounds; round++) {
    assert.equal(run.state().runState, RunState.RoundTrain, `round ${round}`);
    const elected = run.elected();
    assert.equal(elected.length, Math.min(count, 32));
    wait(2n);
    for (const { user, proof } of elected) {
      record("witness", chain.run(run.witness(user, proof)).units);
    }
    assert.equal(run.state().runState, RunState.RoundWitness);
    assert.equal(currentRound(run.state()).witnesses.length, elected.length);
    wait(10n);
    tick();
  }
  assert.equal(run.state().runState, RunState.Cooldown);
  wait(88n);
  tick();
  const state = run.state();
  assert.equal(state.runState, RunState.WaitingForMembers);
  assert.deepEqual(new Set(state.clientsState.clients.map((c) => c.earned)), new Set([share]));
  console.log(`${count} clients, compute units at most:`, units);
  return units;
}

Deno.test("an epoch of 240 clients has four rounds and pays 1851 points each", () => {
  const units = epoch(240, 4, 1851n);
  assert.ok(Math.max(...Object.values(units)) < 200_000);
});

Deno.test("256 clients stay below the default compute limit", () => {
  const units = epoch(256, 4, 1736n);
  assert.ok(Math.max(...Object.values(units)) < 200_000);
});

Deno.test("ticks and witnesses of a few clients need little", () => {
  const units = epoch(4, 4, 111_111n);
  assert.ok(Math.max(...Object.values(units)) < 40_000);
});
