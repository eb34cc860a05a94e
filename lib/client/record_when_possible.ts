import { PsycheError } from "../error.ts";
import { type CoordinatorState, RunState } from "../protocol/coordinator_state.ts";
import { mergeCheckpoint, type SubmittedCheckpoint } from "../protocol/merge_checkpoint.ts";
import { epochClientIndex } from "../protocol/run_state.ts";
import type { Confirmation, RunChain } from "./run_chain.ts";

/** Pause between two looks at the chain, milliseconds. */
const POLL_MILLISECONDS = 1_000;

/**
 * Records a checkpoint on chain as soon as that does what is meant, docs/protocol/
 * coordinator-state-machine.md section 12: the chain ignores a bucket for a run that still begins from
 * the Hub (and the reverse) until the epoch is over; and while members load what the chain names it
 * must not change, or they would load different weights.
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
  for (;;) {
    const state = await chain.read();
    if (epochClientIndex(state, signer) < 0) {
      throw notRecorded("this client is no member of the run's current epoch any more");
    }
    const obstacle = whyNotNow(state, checkpoint);
    if (obstacle === null) return await chain.checkpoint(checkpoint);
    const never = state.runState === RunState.Finished;
    if (never || patience.aborted) throw notRecorded(obstacle);
    await new Promise<void>((resolve) => {
      const timer = setTimeout(done, POLL_MILLISECONDS);
      function done() {
        clearTimeout(timer);
        patience.removeEventListener("abort", done);
        resolve();
      }
      patience.addEventListener("abort", done);
    });
  }
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
