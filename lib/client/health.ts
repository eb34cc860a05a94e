import { healthScore, quorum } from "../protocol/consensus.ts";
import {
  ClientState,
  Committee,
  type CommitteeProof,
  type CoordinatorState,
  type NodeIdentity,
} from "../protocol/coordinator_state.ts";
import { selectRoundCommittee } from "../protocol/committee.ts";
import { previousRound } from "../protocol/run_state.ts";
import type { RoundRecord } from "./round_record.ts";

/**
 * Members that too few witnesses of the previous round saw taking part, with the proof that the
 * `health_check` instruction wants: docs/protocol/client-lifecycle.md section 7.2 step 2 and
 * coordinator-state-machine.md section 11.
 *
 * @param trained the record that those witnesses describe (two rounds before the current one); members
 *   without a batch in it had nothing to show and are left alone.
 */
export function unhealthyMembers(
  state: CoordinatorState,
  trained: RoundRecord,
): { target: NodeIdentity; proof: CommitteeProof }[] {
  const round = previousRound(state);
  if (!round || round.witnesses.length === 0) return [];
  const required = quorum(round.witnesses.length, state.config.witnessNodes);
  const committee = selectRoundCommittee(state, round);
  const assigned = new Set(
    [...trained.assignments.values()].map(({ client }) => trained.clients[client].signer.toHex()),
  );
  const unhealthy: { target: NodeIdentity; proof: CommitteeProof }[] = [];
  state.epochState.clients.forEach((client, index) => {
    if (index >= round.clientsLen || client.state !== ClientState.Healthy) return;
    if (!assigned.has(client.id.signer.toHex())) return;
    const proof = committee.committeeProof(index);
    if (proof.committee !== Committee.Trainer) return;
    if (healthScore(round.witnesses, client.id.signer) < required) {
      unhealthy.push({ target: client.id, proof });
    }
  });
  return unhealthy;
}
