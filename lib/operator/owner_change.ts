/** What the owner of a run may change, through the treasurer where the run has one. */
import type { TransactionInstruction } from "@solana/web3.js";
import {
  setFutureEpochRatesInstruction,
  setPausedInstruction,
  updateClientVersionInstruction,
  updateInstruction,
} from "../chain/coordinator_instructions.ts";
import { runUpdateInstruction } from "../chain/treasurer.ts";
import type {
  CoordinatorConfig,
  CoordinatorProgress,
  Model,
  RunMetadata,
} from "../protocol/coordinator_state.ts";
import type { OperatorContext } from "./context.ts";
import type { RunOnChain } from "./read_run.ts";

/** Absent or null: stays as it is. */
export interface OwnerChange {
  metadata?: RunMetadata | null;
  config?: CoordinatorConfig | null;
  model?: Model | null;
  progress?: CoordinatorProgress | null;
  clientVersion?: string | null;
  /** Points that the clients which finish an epoch share. */
  earningRateTotalShared?: bigint | null;
  /** Points that a client which fails loses. */
  slashingRatePerClient?: bigint | null;
  paused?: boolean | null;
}

/** One instruction with a treasurer; without, one for each kind of change. */
export function ownerInstructions(
  context: OperatorContext,
  run: RunOnChain,
  change: OwnerChange,
): TransactionInstruction[] {
  const accounts = {
    ids: context.programIds,
    runId: run.runId,
    coordinatorAccount: run.coordinatorAccount,
    authority: context.payer.publicKey,
  };
  if (run.treasurer !== null) {
    return [runUpdateInstruction({ ...accounts, index: run.treasurer.index, ...change })];
  }
  const { metadata, config, model, progress, clientVersion, paused } = change;
  const { earningRateTotalShared: earning, slashingRatePerClient: slashing } = change;
  const instructions: TransactionInstruction[] = [];
  if (metadata || config || model || progress) {
    instructions.push(updateInstruction({ ...accounts, metadata, config, model, progress }));
  }
  if (isGiven(earning) || isGiven(slashing)) {
    instructions.push(setFutureEpochRatesInstruction({
      ...accounts,
      earningRateTotalShared: earning,
      slashingRatePerClient: slashing,
    }));
  }
  if (isGiven(paused)) instructions.push(setPausedInstruction({ ...accounts, paused }));
  if (isGiven(clientVersion)) {
    instructions.push(updateClientVersionInstruction({ ...accounts, clientVersion }));
  }
  return instructions;
}

function isGiven<T>(value: T | null | undefined): value is T {
  return value !== null && value !== undefined;
}
