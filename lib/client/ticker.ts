import type { CoordinatorState } from "../protocol/coordinator_state.ts";
import { RunState } from "../protocol/coordinator_state.ts";
import { sha256 } from "../protocol/sha256.ts";
import { nextTimeout } from "../protocol/tick.ts";
import type { RunChain } from "./run_chain.ts";

/** How long the next client in line waits for the one before it, cluster milliseconds. */
const STAGGER_MILLISECONDS = 1500;
/** Shortest wait between two own attempts, wall milliseconds. */
const MINIMUM_PAUSE = 60;

/**
 * Sends `tick` when the chain needs one (client-lifecycle.md section 2.1).
 *
 * The time at which a tick changes the run state is known in advance, so nothing is polled: the ticker
 * sleeps until then. Instead of everybody ticking with a probability, the candidates are put in a
 * pseudo-random order that all of them compute alike; the first ticks at once, each next one only
 * if the state is still the old one some time later. So no tick is missed and few are sent twice.
 */
export class Ticker {
  readonly #chain: RunChain;
  readonly #self: Uint8Array;
  readonly #send: () => Promise<void>;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #stopped = false;

  /**
   * @param self own wallet key, 32 bytes
   * @param send sends one tick and reports failures itself; must not reject
   */
  constructor(chain: RunChain, self: Uint8Array, send: () => Promise<void>) {
    this.#chain = chain;
    this.#self = self;
    this.#send = send;
  }

  /** Plans the next tick from a new state; replaces the earlier plan. */
  update(state: CoordinatorState): void {
    clearTimeout(this.#timer);
    if (this.#stopped) return;
    const due = nextTimeout(state);
    if (due === null) return;
    const rank = tickRank(state, this.#self);
    const dueMilliseconds = Number(due) * 1000 + rank * STAGGER_MILLISECONDS;
    this.#schedule(dueMilliseconds, tickCandidates(state).length);
  }

  stop(): void {
    this.#stopped = true;
    clearTimeout(this.#timer);
  }

  #schedule(dueMilliseconds: number, candidates: number): void {
    const wait = (dueMilliseconds - this.#chain.now()) / this.#chain.clockRate;
    // The chain counts whole seconds: a few milliseconds of margin keep a tick from being early.
    this.#timer = setTimeout(async () => {
      await this.#send();
      if (this.#stopped) return;
      const again = this.#chain.now() + STAGGER_MILLISECONDS * Math.max(1, candidates);
      clearTimeout(this.#timer);
      this.#schedule(again, candidates);
    }, Math.max(wait + 5, wait > 0 ? 5 : MINIMUM_PAUSE / 4));
  }
}

/** Wallets that tick in this state: those waiting to start, afterwards the epoch's members. */
export function tickCandidates(state: CoordinatorState): Uint8Array[] {
  if (state.runState === RunState.WaitingForMembers) {
    return state.clientsState.clients
      .filter((client) => client.active === state.clientsState.nextActive)
      .map((client) => client.id.signer);
  }
  return state.epochState.clients.map((client) => client.id.signer);
}

/** Place of `self` in the order of this state's tickers; outsiders come after all candidates. */
export function tickRank(state: CoordinatorState, self: Uint8Array): number {
  const salt = new TextEncoder().encode(
    `${state.runId}/${state.runState}/${state.progress.epoch}/${state.progress.step}`,
  );
  const order = tickCandidates(state)
    .map((signer) => ({ signer: signer.toHex(), draw: sha256(salt, signer).toHex() }))
    .sort((a, b) => (a.draw < b.draw ? -1 : 1));
  const rank = order.findIndex((entry) => entry.signer === self.toHex());
  return rank < 0 ? order.length : rank;
}
