/** Who may have which sequences now; docs/protocol/training-math.md section 6.7. */
import { assignBatches, type BatchAssignment } from "../protocol/assignment.ts";
import { equalBytes } from "../protocol/bytes.ts";
import { type BatchId, type CoordinatorState, RunState } from "../protocol/coordinator_state.ts";
import { pendingClients } from "../protocol/run_state.ts";
import type { Rejection } from "../trainer/data/data_server_messages.ts";

/** Each state is asked about by every member, and finding out who trains what is the costly part. */
const assignments = new WeakMap<CoordinatorState, BatchAssignment[]>();

/**
 * Whether the client with this peer-to-peer key trains exactly `batch` in the current round; else the
 * reason why not.
 *
 * @param state is not changed between two calls
 */
export function batchRight(
  state: CoordinatorState,
  p2pIdentity: Uint8Array,
  { start, end }: BatchId,
): "granted" | Rejection {
  const { clients } = state.epochState;
  const isClient = (id: { p2pIdentity: Uint8Array }) => equalBytes(id.p2pIdentity, p2pIdentity);
  if (!clients.some(({ id }) => isClient(id)) && !pendingClients(state).some(isClient)) {
    return "NotAMember";
  }
  const training = state.runState === RunState.RoundTrain ||
    state.runState === RunState.RoundWitness;
  const own = training
    ? assignmentsOf(state).filter(({ clientIndex }) => isClient(clients[clientIndex].id))
    : [];
  if (own.length === 0) return "NotInThisRound";
  return own.some(({ batchId }) => batchId.start === start && batchId.end === end)
    ? "granted"
    : "WrongDataIdForStep";
}

function assignmentsOf(state: CoordinatorState): BatchAssignment[] {
  const known = assignments.get(state);
  if (known) return known;
  const found = assignBatches(state);
  assignments.set(state, found);
  return found;
}
