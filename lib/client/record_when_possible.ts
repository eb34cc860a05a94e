import { setTimeout as sleep } from "node:timers/promises";
import { PsycheError } from "../error.ts";
import { type CoordinatorState, RunState } from "../protocol/coordinator_state.ts";
import { mergeCheckpoint, type SubmittedCheckpoint } from "../protocol/merge_checkpoint.ts";
import { epochClientIndex } from "../protocol/run_state.ts";
import type { Confirmation, RunChain } from "./run_chain.ts";

/** Pause between two looks at the chain, milliseconds. */
const POLL_MILLISECONDS = 1_000;

/** Attempts after the first that reading or sending may need, with a pause that doubles. */
const RETRIES = 6;
/** Asking again changes nothing after one of these. */
const FINAL = new Set(["CHECKPOINT_NOT_RECORDED", "SignerNotAClient", "INSUFFICIENT_FUNDS"]);

/**
 * Records a checkpoint on chain as soon as that does what is meant, docs/protocol/
 * coordinator-state-machine.md section 12: the chain ignores a bucket for a run that still begins from
 * the Hub (and the reverse) until the epoch is over; and while members load what the chain names it
 * must not change, or they would load different weights. A chain that cannot be reached is asked again:
 * before a pause there is no later checkpoint that would make up for this one.
 *
 * @param patience aborted when waiting is no longer worth it
 * @throws PsycheError `CHECKPOINT_NOT_RECORDED`, and what reading and sending throw
 */
export async function recordWhenPossible(
  chain: Pick<RunChain, "read" | "checkpoint">,
  signer: Uint8Array,
  checkpoint: SubmittedCheckpoint,
  patience: AbortSignal,
): Promise<Confirmation> {
  for (let failures = 0;;) {
    try {
      const obstacle = await findObstacle(chain, signer, checkpoint);
      if (obstacle === null) return await chain.checkpoint(checkpoint);
      if (patience.aborted) throw notRecorded(obstacle);
    } catch (error) {
      const code = error instanceof PsycheError ? error.code : "";
      if (FINAL.has(code) || patience.aborted || ++failures > RETRIES) throw error;
    }
    const pause = POLL_MILLISECONDS * 2 ** Math.max(0, failures - 1);
    await sleep(pause, undefined, { signal: patience }).catch(() => {});
  }
}

async function findObstacle(
  chain: Pick<RunChain, "read">,
  signer: Uint8Array,
  checkpoint: SubmittedCheckpoint,
): Promise<string | null> {
  const state = await chain.read();
  if (epochClientIndex(state, signer) < 0) {
    throw notRecorded("this client is no member of the run's current epoch any more");
  }
  const obstacle = whyNotNow(state, checkpoint);
  if (obstacle !== null && state.runState === RunState.Finished) throw notRecorded(obstacle);
  return obstacle;
}

/** Why the chain should not be told now; null when it should. */
function whyNotNow(
  { runState, model: { checkpoint: stored } }: CoordinatorState,
  submitted: SubmittedCheckpoint,
): string | null {
  const merged = mergeCheckpoint(stored, submitted);
  if (merged === null) {
    return `the run's checkpoint is of the kind ${stored.kind}, and the chain ignores one of the kind ${submitted.kind}`;
  }
  const isLoaded = runState === RunState.Warmup && merged.kind === submitted.kind;
  return isLoaded ? "the members are loading the checkpoint before" : null;
}

function notRecorded(reason: string): PsycheError {
  return new PsycheError(
    "CHECKPOINT_NOT_RECORDED",
    `The checkpoint is not on chain: ${reason}; a later checkpoint will be, or use the command checkpoint.`,
  );
}
