import {
  type CoordinatorState,
  type EpochState,
  type Round,
  RunState,
} from "./coordinator_state.ts";

function emptyRound(): Round {
  return {
    witnesses: [],
    dataIndex: 0n,
    randomSeed: 0n,
    height: 0,
    clientsLen: 0,
    tieBreakerTasks: 0,
  };
}

/** An epoch state of zeros. */
export function emptyEpochState(): EpochState {
  return {
    rounds: [emptyRound(), emptyRound(), emptyRound(), emptyRound()],
    clients: [],
    exitedClients: [],
    roundsHead: 0,
    startStep: 0,
    lastStep: 0,
    startTimestamp: 0n,
    firstRound: false,
    coldStartEpoch: false,
  };
}

/** What `init_coordinator` leaves in the account; docs/protocol/onchain-coordinator.md section 4.1. */
export function emptyCoordinatorState(runId: string, clientVersion: string): CoordinatorState {
  return {
    version: 1n,
    metadata: { name: "", description: "", numParameters: 0n, vocabSize: 0n },
    runId,
    runState: RunState.Uninitialized,
    model: {
      maxSeqLen: 0,
      coldStartWarmupSteps: 0,
      architecture: "HfLlama",
      checkpoint: { kind: "Ephemeral" },
      dataType: "Pretraining",
      dataLocation: { kind: "Dummy" },
      lrSchedule: { kind: "Constant", baseLr: 0, warmupInitLr: 0, warmupSteps: 0 },
      optimizer: { kind: "Dummy" },
    },
    config: {
      warmupTime: 0n,
      cooldownTime: 0n,
      maxRoundTrainTime: 0n,
      roundWitnessTime: 0n,
      globalBatchSizeWarmupTokens: 0n,
      epochTime: 0n,
      totalSteps: 0,
      initMinClients: 0,
      minClients: 0,
      witnessNodes: 0,
      globalBatchSizeStart: 0,
      globalBatchSizeEnd: 0,
      verificationPercent: 0,
      waitingForMembersExtraTime: 0,
    },
    progress: { epoch: 0, step: 0, epochStartDataIndex: 0n },
    epochState: emptyEpochState(),
    runStateStartUnixTimestamp: 0n,
    pendingPause: false,
    clientsState: {
      clients: [],
      nextActive: 0n,
      currentEpochRates: { earningRateTotalShared: 0n, slashingRatePerClient: 0n },
      futureEpochRates: { earningRateTotalShared: 0n, slashingRatePerClient: 0n },
    },
    isWarmupFirstTick: false,
    isTrainingFirstTick: false,
    clientVersion,
    nonce: 0n,
  };
}
