import type { CoordinatorState } from "../protocol/coordinator_state.ts";
import { RunState } from "../protocol/coordinator_state.ts";
import { sha256 } from "../protocol/sha256.ts";
import { nextTimeout } from "../protocol/tick.ts";
import type { RunChain } from "./run_chain.ts";

/** How long the next client in line waits for the one before it: cluster milliseconds, */
const STAGGER_MILLISECONDS = 1_500;
/** but at least so many wall milliseconds, the time that a transaction takes on a busy localnet. */
const MINIMUM_STAGGER = 250;
/** The chain counts whole seconds; this margin (wall milliseconds) keeps a tick from being early. */
const MARGIN = 5;

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
  /** Number of the plan in force; raised to make an older one end. */
  #plan = 0;
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
    this.#cancel();
    const due = nextTimeout(state);
    if (due === null || this.#stopped) return;
    const candidates = tickCandidates(state).length;
    const plan = ++this.#plan;
    const wait = (Number(due) * 1000 - this.#chain.now()) / this.#chain.clockRate;
    this.#after(
      Math.max(0, wait) + MARGIN + tickRank(state, this.#self) * this.#stagger,
      async () => {
        // The first try may be lost or come too early by the chain's clock: go on until the state changes.
        while (plan === this.#plan && !this.#stopped) {
          await this.#send();
          if (plan !== this.#plan) return;
          const pause = this.#stagger * Math.max(1, candidates);
          await new Promise<void>((resolve) => this.#after(pause, resolve));
        }
      },
    );
  }

  stop(): void {
    this.#stopped = true;
    this.#cancel();
  }

  get #stagger(): number {
    return Math.max(MINIMUM_STAGGER, STAGGER_MILLISECONDS / this.#chain.clockRate);
  }

  /** A cancelled wait never calls back; its plan is over anyway. */
  #after(milliseconds: number, then: () => void): void {
    this.#timer = setTimeout(then, milliseconds);
  }

  #cancel(): void {
    this.#plan++;
    clearTimeout(this.#timer);
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
