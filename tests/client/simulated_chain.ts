import { PsycheError } from "../../lib/error.ts";
import type { Confirmation, RunChain } from "../../lib/client/run_chain.ts";
import type { CoordinatorState } from "../../lib/protocol/coordinator_state.ts";
import { roundSeed } from "../../lib/protocol/round_seed.ts";
import { cloneState, type TickClock } from "../../lib/protocol/tick.ts";
import {
  checkpoint,
  healthCheck,
  joinRun,
  setPaused,
  tick,
  warmupWitness,
  witness,
} from "../../lib/protocol/transitions.ts";
import type { Faults } from "./faults.ts";

export interface ChainFaults {
  faults: Faults;
  /** Probability that a transaction is refused by the network. */
  lostTransactions: number;
  /** Probability that a client does not hear of one state. */
  lostUpdates: number;
  /** Longest delay of an update, wall milliseconds. */
  delay: number;
}

/**
 * The coordinator program's rules in memory, with a clock that runs fast and a network that loses
 * things. Real rules (lib/protocol), no SVM: a run of many rounds takes a second.
 */
export class SimulatedChain {
  state: CoordinatorState;
  readonly clockRate: number;
  readonly #options: ChainFaults;
  readonly #watchers = new Set<(state: CoordinatorState) => void>();
  readonly #start = performance.now();
  #slot = 1n;

  constructor(state: CoordinatorState, clockRate: number, options: ChainFaults) {
    this.state = state;
    this.clockRate = clockRate;
    this.#options = options;
  }

  now(): number {
    return 1_700_000_000_000 + (performance.now() - this.#start) * this.clockRate;
  }

  resume(): void {
    this.#execute((state, clock) => setPaused(state, false, clock));
  }

  pause(): void {
    this.#execute((state, clock) => setPaused(state, true, clock));
  }

  /** The chain as the client with this wallet (32 bytes) sees it, unless it sleeps. */
  client(signer: Uint8Array, asleep: () => boolean = () => false): RunChain {
    // deno-lint-ignore no-this-alias -- the getters below need both objects
    const chain = this;
    return {
      get clockRate() {
        return chain.clockRate;
      },
      now: () => chain.now(),
      watch: (onState, signal) => chain.#watch(onState, signal, asleep),
      join: (id) => chain.#send((state, clock) => joinRun(state, id, clock)),
      tick: () => chain.#send((state, clock) => void tick(state, clock)),
      warmupWitness: (content) =>
        chain.#send((state, clock) => warmupWitness(state, signer, content, clock)),
      witness: (content) => chain.#send((state, clock) => witness(state, signer, content, clock)),
      healthCheck: (id, proof) =>
        chain.#send((state, clock) => healthCheck(state, signer, id, proof, clock)),
      read: () => Promise.resolve(cloneState(chain.state)),
      checkpoint: (repo) => chain.#send((state, clock) => checkpoint(state, signer, repo, clock)),
    };
  }

  async #watch(
    onState: (state: CoordinatorState) => void,
    signal: AbortSignal,
    asleep: () => boolean,
  ): Promise<void> {
    const { faults, lostUpdates, delay } = this.#options;
    let newest = -1n;
    const deliver = (state: CoordinatorState) => {
      if (signal.aborted || asleep() || state.nonce <= newest) return;
      newest = state.nonce;
      onState(cloneState(state));
    };
    const watcher = (state: CoordinatorState) => {
      if (faults.happens(lostUpdates)) return;
      setTimeout(() => deliver(state), faults.upTo(delay));
    };
    deliver(this.state);
    this.#watchers.add(watcher);
    // What a lost update hid is found by a slow poll, as the real watcher does.
    const poll = setInterval(() => deliver(this.state), 250);
    await new Promise((resolve) => signal.addEventListener("abort", resolve, { once: true }));
    clearInterval(poll);
    this.#watchers.delete(watcher);
  }

  async #send(
    change: (state: CoordinatorState, clock: TickClock) => void,
  ): Promise<Confirmation> {
    const { faults, lostTransactions, delay } = this.#options;
    await new Promise((resolve) => setTimeout(resolve, faults.upTo(delay)));
    if (faults.happens(lostTransactions)) {
      throw new PsycheError("RPC_UNREACHABLE", "The simulated network lost this transaction.");
    }
    this.#execute(change);
    return { signature: "simulated", feeLamports: 5000 };
  }

  #execute(change: (state: CoordinatorState, clock: TickClock) => void): void {
    const unixTimestamp = BigInt(Math.floor(this.now() / 1000));
    const next = cloneState(this.state);
    change(next, { unixTimestamp, randomSeed: roundSeed(unixTimestamp, this.#slot++) });
    this.state = next;
    for (const watcher of this.#watchers) watcher(next);
  }
}
