/** Pause, wait, update, resume: a configuration change of a running run in one go. */
import { clusterClock } from "../chain/cluster_clock.ts";
import { tickInstruction } from "../chain/coordinator_instructions.ts";
import { TransactionFailedError } from "../chain/send.ts";
import { sleep } from "../chain/sleep.ts";
import { isHalted, runStateText } from "../protocol/run_state.ts";
import { tickWouldChange } from "../protocol/tick.ts";
import type { OperatorContext } from "./context.ts";
import { readRun, type RunOnChain } from "./read_run.ts";
import { type PauseResult, setPaused } from "./set_paused.ts";
import { submit } from "./submit.ts";
import { type ConfigUpdate, type ConfigUpdateResult, updateConfig } from "./update_config.ts";

export interface AppliedConfig extends ConfigUpdateResult {
  /** Null: the run stood still already. */
  paused: PauseResult | null;
  /** Null: it was not running, so it is not started either. */
  resumed: PauseResult | null;
}

export interface ApplyOptions extends ConfigUpdate {
  /** What the command does or waits for now. */
  onStep?: (text: string) => void;
}

/** How long a due tick is left to the clients before this command sends it. */
const TICK_PATIENCE_MILLIS = 3000;
const POLL_MILLIS = 500;

/**
 * Everything is checked before the run is paused. A run that was running is resumed, also when the
 * update fails.
 * @throws the errors of `updateConfig` and `setPaused`
 */
export async function applyConfig(
  context: OperatorContext,
  runId: string,
  options: ApplyOptions,
): Promise<AppliedConfig> {
  const { onStep = () => {}, ...update } = options;
  const { treasurerIndex } = update;
  let paused: PauseResult | null = null;
  const resume = async () => {
    if (paused === null) return null;
    onStep("resuming the run");
    return await setPaused(context, { runId, paused: false, treasurerIndex });
  };
  try {
    const result = await updateConfig(context, runId, update, async (run) => {
      onStep(`pausing the run, which is in the state "${runStateText(run.state.runState)}"`);
      paused = await setPaused(context, { runId, paused: true, treasurerIndex });
      if (context.dryRun) return;
      await waitUntilHalted(context, runId, onStep);
      onStep("updating the configuration");
    });
    return { ...result, paused, resumed: context.dryRun ? null : await resume() };
  } catch (error) {
    if (context.signal?.aborted) {
      if (paused !== null) onStep("the run is left paused; resume it with set-paused --resume");
    } else {
      await resume().catch(() => onStep("the run could not be resumed; do it with set-paused"));
    }
    throw error;
  }
}

/** A pause takes effect at the end of a round; with no client left somebody has to tick it there. */
async function waitUntilHalted(
  context: OperatorContext,
  runId: string,
  onStep: (text: string) => void,
): Promise<void> {
  const { connection, signal } = context;
  const clock = await clusterClock(connection);
  let shown = "";
  let dueSince: number | null = null;
  while (true) {
    const run = await readRun(context, runId);
    if (isHalted(run.state.runState)) return;
    const text = `waiting for the pause: "${runStateText(run.state.runState)}", ` +
      `step ${run.state.progress.step}`;
    if (text !== shown) onStep(shown = text);
    const isDue = tickWouldChange(run.state, BigInt(Math.floor(clock.now() / 1000)));
    if (!isDue) dueSince = null;
    else if (dueSince === null) dueSince = performance.now();
    else if (performance.now() - dueSince > TICK_PATIENCE_MILLIS) {
      await tick(context, run);
      dueSince = null;
    }
    await sleep(POLL_MILLIS, signal);
  }
}

async function tick(context: OperatorContext, run: RunOnChain): Promise<void> {
  try {
    await submit(context, {
      label: `tick run "${run.runId}"`,
      instructions: [
        tickInstruction({
          ids: context.programIds,
          runId: run.runId,
          coordinatorAccount: run.coordinatorAccount,
          user: context.payer.publicKey,
        }),
      ],
    });
  } catch (error) {
    // A client was faster, and the run is halted by now; the next look shows it.
    if (!(error instanceof TransactionFailedError)) throw error;
  }
}
