import type { CoordinatorConfig, Model } from "../protocol/coordinator_state.ts";
import { sha256 } from "../protocol/sha256.ts";

/** Sequences that each client trains in a step. */
export const SEQUENCES_PER_CLIENT = 8;

/**
 * The nano configuration for a demonstration: everybody has to be there, one epoch, time limits so
 * wide that only real events end a phase.
 */
export function demoConfig(
  base: { config: CoordinatorConfig; model: Model },
  options: { clients: number; steps: number; seed: number; modelDirectory: string },
): { config: CoordinatorConfig; model: Model } {
  const { clients, steps, seed, modelDirectory } = options;
  const { lrSchedule, dataLocation } = base.model;
  return {
    config: {
      ...base.config,
      initMinClients: clients,
      minClients: Math.max(1, clients - 1),
      globalBatchSizeStart: clients * SEQUENCES_PER_CLIENT,
      globalBatchSizeEnd: clients * SEQUENCES_PER_CLIENT,
      // The first round is step 1 and the run ends when this step would begin.
      totalSteps: steps + 1,
      warmupTime: 1_200n,
      maxRoundTrainTime: 1_200n,
      epochTime: 72_000n,
      waitingForMembersExtraTime: 1,
    },
    model: {
      ...base.model,
      checkpoint: { kind: "Hub", repo: { repoId: modelDirectory, revision: null } },
      dataLocation: dataLocation.kind === "Http"
        ? { ...dataLocation, shuffle: { kind: "Seeded", seed: shuffleSeed(seed) } }
        : dataLocation,
      lrSchedule: "totalSteps" in lrSchedule
        ? { ...lrSchedule, totalSteps: Math.max(steps, lrSchedule.warmupSteps + 1) }
        : lrSchedule,
    },
  };
}

function shuffleSeed(seed: number): Uint8Array {
  return sha256(new TextEncoder().encode(`demo data ${seed}`));
}
