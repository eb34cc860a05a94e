/** A configured run and its clients for tests. Only tests use this file. */
import type {
  CoordinatorConfig,
  CoordinatorState,
  NodeIdentity,
  Witness,
} from "./coordinator_state.ts";
import { emptyBloom } from "./bloom.ts";
import { selectRoundCommittee } from "./committee.ts";
import { emptyCoordinatorState } from "./empty_state.ts";
import { currentRound } from "./run_state.ts";
import { updateRun } from "./transitions.ts";

/** A client whose keys are one byte repeated. */
export function identity(byte: number): NodeIdentity {
  return {
    signer: new Uint8Array(32).fill(byte),
    p2pIdentity: new Uint8Array(32).fill(byte + 100),
  };
}

/** The configuration of coordinator-state-machine.md section 15, with changes. */
export function configuredRun(changes: Partial<CoordinatorConfig> = {}): CoordinatorState {
  const state = emptyCoordinatorState("trace", "test");
  updateRun(state, {
    config: {
      ...state.config,
      initMinClients: 2,
      minClients: 2,
      waitingForMembersExtraTime: 3,
      warmupTime: 10n,
      maxRoundTrainTime: 15n,
      roundWitnessTime: 4n,
      cooldownTime: 5n,
      epochTime: 30n,
      witnessNodes: 1,
      globalBatchSizeStart: 4,
      globalBatchSizeEnd: 8,
      globalBatchSizeWarmupTokens: 2048n,
      totalSteps: 100,
      ...changes,
    },
    model: {
      ...state.model,
      maxSeqLen: 64,
      checkpoint: { kind: "Hub", repo: { repoId: "a/b", revision: null } },
      optimizer: {
        kind: "AdamW",
        betas: [0.5, 0.5],
        weightDecay: 0,
        eps: 1,
        clipGradNorm: null,
      },
    },
  });
  return state;
}

/** What an epoch member sends as a witness of the current round, elected or not. */
export function witnessOf(state: CoordinatorState, index: number): Witness {
  return {
    proof: selectRoundCommittee(state, currentRound(state)).witnessProof(index),
    participantBloom: emptyBloom(),
    broadcastBloom: emptyBloom(),
    broadcastMerkle: new Uint8Array(32),
  };
}

/** What an epoch member sends when it has loaded the model. */
export function warmupWitnessOf(index: number): Witness {
  return {
    proof: { position: BigInt(index), index: BigInt(index), witness: 0 },
    participantBloom: emptyBloom(),
    broadcastBloom: emptyBloom(),
    broadcastMerkle: new Uint8Array(32),
  };
}
