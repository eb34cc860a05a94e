import assert from "node:assert/strict";
import { type CoordinatorState, RunState } from "../protocol/coordinator_state.ts";
import { emptyCoordinatorState } from "../protocol/empty_state.ts";
import type { RunChain } from "./run_chain.ts";
import { Ticker, tickRank } from "./ticker.ts";

const NOW = 1_700_000_000;

/** A run in RoundWitness that any tick ends after one second. */
function witnessState(clients: number): CoordinatorState {
  const state = emptyCoordinatorState("ticks", "test");
  state.runState = RunState.RoundWitness;
  state.runStateStartUnixTimestamp = BigInt(NOW);
  state.config.roundWitnessTime = 1n;
  state.epochState.clients = Array.from({ length: clients }, (_, i) => ({
    id: { signer: new Uint8Array(32).fill(i + 1), p2pIdentity: new Uint8Array(32).fill(i + 1) },
    state: 0,
    exitedHeight: 0,
  }));
  return state;
}

/** A cluster whose clock runs `rate` times faster than the wall. */
function clock(rate: number): RunChain {
  const start = performance.now();
  return {
    clockRate: rate,
    now: () => NOW * 1000 + (performance.now() - start) * rate,
  } as RunChain;
}

Deno.test("all clients compute the same order, and it changes with the step", () => {
  const state = witnessState(6);
  const ranks = () => state.epochState.clients.map(({ id }) => tickRank(state, id.signer));
  const first = ranks();
  assert.deepEqual([...first].sort(), [0, 1, 2, 3, 4, 5]);
  assert.deepEqual(ranks(), first);
  assert.equal(tickRank(state, new Uint8Array(32).fill(99)), 6);
  const orders = new Set<string>();
  for (let step = 1; step < 20; step++) {
    state.progress.step = step;
    orders.add(ranks().join());
  }
  assert.ok(orders.size > 10);
});

Deno.test("the first in line ticks once, when the state may end, and not before", async () => {
  const state = witnessState(3);
  const chain = clock(10);
  const ticks: number[] = [];
  const tickers = state.epochState.clients.map(({ id }) =>
    new Ticker(chain, id.signer, () => {
      ticks.push(chain.now() - NOW * 1000);
      for (const ticker of tickers) ticker.update({ ...state, runState: RunState.Finished });
      return Promise.resolve();
    })
  );
  for (const ticker of tickers) ticker.update(state);
  await new Promise((resolve) => setTimeout(resolve, 600));
  assert.equal(ticks.length, 1);
  assert.ok(ticks[0] >= 1000, `${ticks[0]} cluster milliseconds`);
  for (const ticker of tickers) ticker.stop();
});

Deno.test("when the first in line is gone, the next one ticks", async () => {
  const state = witnessState(2);
  const chain = clock(10);
  const second = state.epochState.clients.find(({ id }) => tickRank(state, id.signer) === 1)!;
  let ticks = 0;
  const ticker = new Ticker(chain, second.id.signer, () => {
    ticks++;
    return Promise.resolve();
  });
  ticker.update(state);
  await new Promise((resolve) => setTimeout(resolve, 200));
  assert.equal(ticks, 0);
  await new Promise((resolve) => setTimeout(resolve, 300));
  assert.equal(ticks, 1);
  ticker.stop();
});
