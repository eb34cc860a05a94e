/** Questions about a decoded run, docs/protocol/coordinator-state-machine.md sections 2, 4 and 6. */
import {
  type CoordinatorState,
  type EpochClient,
  type NodeIdentity,
  type Round,
  RunState,
} from "./coordinator_state.ts";
import { equalBytes } from "./bytes.ts";
import { STORED_ROUNDS } from "./limits.ts";

const TEXT: Record<RunState, string> = {
  [RunState.Uninitialized]: "Uninitialized",
  [RunState.WaitingForMembers]: "Waiting for members",
  [RunState.Warmup]: "Warmup",
  [RunState.RoundTrain]: "Training",
  [RunState.RoundWitness]: "Witness",
  [RunState.Cooldown]: "Cooldown",
  [RunState.Finished]: "Finished",
  [RunState.Paused]: "Paused",
};

/** Text of a run state as the program logs it; docs/protocol/onchain-coordinator.md section 1.3. */
export function runStateText(state: RunState): string {
  return TEXT[state];
}

/** Uninitialized, Finished or Paused: nothing moves until the owner acts. */
export function isHalted(state: RunState): boolean {
  return state === RunState.Uninitialized || state === RunState.Finished ||
    state === RunState.Paused;
}

/** RoundTrain, RoundWitness or Cooldown: members hold the model. */
export function isActive(state: RunState): boolean {
  return state === RunState.RoundTrain || state === RunState.RoundWitness ||
    state === RunState.Cooldown;
}

/** The round at the head of the ring (an all-zero one before the first epoch). */
export function currentRound(state: CoordinatorState): Round {
  return state.epochState.rounds[state.epochState.roundsHead];
}

/** The round before the current one, or null in the first round of an epoch. */
export function previousRound(state: CoordinatorState): Round | null {
  const { rounds, roundsHead: head } = state.epochState;
  if (head === 0 && rounds[head].height === 0) return null;
  return rounds[(head + STORED_ROUNDS - 1) % STORED_ROUNDS];
}

/**
 * Two rounds back, or null. In the second round of an epoch (height 1) this is an all-zero round,
 * not null: the chain does the same.
 */
export function previousPreviousRound(state: CoordinatorState): Round | null {
  const { rounds, roundsHead: head } = state.epochState;
  if (head === 0 && rounds[head].height <= 1) return null;
  return rounds[(head + STORED_ROUNDS - 2) % STORED_ROUNDS];
}

/**
 * The client that had index `index` in a round of `clientsLen` clients: a present member, or one
 * read from the end of the exited list; null when there is none.
 */
export function historicalClient(
  state: CoordinatorState,
  index: number,
  clientsLen: number,
): EpochClient | null {
  const { clients, exitedClients } = state.epochState;
  if (index < clients.length) return clients[index];
  if (index >= clientsLen) return null;
  return exitedClients[exitedClients.length - (clientsLen - index)] ?? null;
}

/** Position of a wallet in the epoch client list, or -1. */
export function epochClientIndex(state: CoordinatorState, signer: Uint8Array): number {
  return state.epochState.clients.findIndex((client) => equalBytes(client.id.signer, signer));
}

/** Those who joined for the coming epoch, in list order; section 6. */
export function pendingClients(state: CoordinatorState): NodeIdentity[] {
  const { clients, nextActive } = state.clientsState;
  return clients.filter((client) => client.active === nextActive).map((client) => client.id);
}
