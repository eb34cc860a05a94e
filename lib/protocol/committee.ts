import { PsycheError } from "../error.ts";
import {
  Committee,
  type CommitteeProof,
  type CoordinatorState,
  type Round,
  type WitnessProof,
} from "./coordinator_state.ts";
import { u64le } from "./bytes.ts";
import { MAX_WITNESSES } from "./limits.ts";
import { sha256 } from "./sha256.ts";
import { createShuffle } from "./swap_or_not.ts";

const COMMITTEE_SALT = new TextEncoder().encode("committee");
const WITNESS_SALT = new TextEncoder().encode("witness");

/** What a round's selection depends on, docs/protocol/deterministic-selection.md section 3. */
export interface CommitteeParameters {
  /** `round.tie_breaker_tasks`, always 0 on Solana. */
  tieBreakerTasks: number;
  /** `config.witness_nodes`, 0 = everybody up to 32. */
  witnessNodes: number;
  /** `config.verification_percent`. */
  verificationPercent: number;
  /** `round.clients_len`. */
  clients: number;
  /** `round.random_seed`, u64. */
  randomSeed: bigint;
}

/** Committees and witnesses of one round; client indices are positions in the epoch client list. */
export interface CommitteeSelection {
  readonly clients: number;
  /** Number of elected witnesses. */
  readonly witnesses: number;
  committeePosition(index: number): number;
  committee(index: number): Committee;
  witnessPosition(index: number): number;
  isWitness(index: number): boolean;
  committeeProof(index: number): CommitteeProof;
  witnessProof(index: number): WitnessProof;
  /** True when the claim is what this round gives to `proof.index`. */
  verifyCommittee(proof: CommitteeProof): boolean;
  /** True when the claim is what this round gives to `proof.index`, elected or not. */
  verifyWitness(proof: WitnessProof): boolean;
}

/**
 * Deterministic committees of a round, docs/protocol/deterministic-selection.md section 3.
 *
 * @throws PsycheError `COMMITTEE_INCONSISTENT` for parameters that no round can have.
 */
export function selectCommittee(parameters: CommitteeParameters): CommitteeSelection {
  const { tieBreakerTasks, witnessNodes, verificationPercent, clients, randomSeed } = parameters;
  if (clients < tieBreakerTasks || clients < witnessNodes || verificationPercent > 100) {
    throw new PsycheError(
      "COMMITTEE_INCONSISTENT",
      `${clients} clients cannot fill ${tieBreakerTasks} tie breakers, ${witnessNodes} witnesses and ` +
        `${verificationPercent} % verifiers; correct witness_nodes or verification_percent of the run.`,
    );
  }
  const verifiers = Math.floor((clients - tieBreakerTasks) * verificationPercent / 100);
  const witnesses = witnessNodes === 0 ? Math.min(clients, MAX_WITNESSES) : witnessNodes;
  const base = sha256(u64le(randomSeed));
  const committeePosition = createShuffle(clients, sha256(base, COMMITTEE_SALT));
  const witnessPosition = createShuffle(clients, sha256(base, WITNESS_SALT));
  const committee = (index: number): Committee => {
    const place = committeePosition(index);
    if (place < tieBreakerTasks) return Committee.TieBreaker;
    return place < tieBreakerTasks + verifiers ? Committee.Verifier : Committee.Trainer;
  };
  const isWitness = (index: number) => witnessPosition(index) < witnesses;
  return {
    clients,
    witnesses,
    committeePosition,
    committee,
    witnessPosition,
    isWitness,
    committeeProof: (index) => ({
      committee: committee(index),
      position: BigInt(committeePosition(index)),
      index: BigInt(index),
    }),
    witnessProof: (index) => ({
      position: BigInt(witnessPosition(index)),
      index: BigInt(index),
      witness: isWitness(index) ? 1 : 0,
    }),
    verifyCommittee: (proof) => {
      if (proof.index >= BigInt(clients)) return false;
      const index = Number(proof.index);
      return proof.position === BigInt(committeePosition(index)) &&
        proof.committee === committee(index);
    },
    verifyWitness: (proof) => {
      if (proof.index >= BigInt(clients)) return false;
      const index = Number(proof.index);
      return proof.position === BigInt(witnessPosition(index)) &&
        proof.witness === (isWitness(index) ? 1 : 0);
    },
  };
}

/** Selection of a stored round of a run. Throws as {@linkcode selectCommittee}. */
export function selectRoundCommittee(state: CoordinatorState, round: Round): CommitteeSelection {
  return selectCommittee({
    tieBreakerTasks: round.tieBreakerTasks,
    witnessNodes: state.config.witnessNodes,
    verificationPercent: state.config.verificationPercent,
    clients: round.clientsLen,
    randomSeed: round.randomSeed,
  });
}
