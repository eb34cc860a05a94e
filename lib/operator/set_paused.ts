/** Pauses and resumes a run; commands.md section 7.3, coordinator-state-machine.md section 8. */
import { PsycheError } from "../error.ts";
import { RunState } from "../protocol/coordinator_state.ts";
import { validateRun } from "../protocol/run_config.ts";
import { isHalted, runStateText } from "../protocol/run_state.ts";
import type { OperatorContext } from "./context.ts";
import { ownerInstructions } from "./owner_change.ts";
import { checkBalance } from "./preflight.ts";
import { throwProblems } from "./problems.ts";
import { checkOwner, readRun, type RunOnChain } from "./read_run.ts";
import { type Outcome, submit } from "./submit.ts";

export interface PauseResult {
  runId: string;
  paused: boolean;
  /** State text before and after. */
  before: string;
  after: string;
  /** The pause waits for the end of the round. */
  pending: boolean;
  /** Null: the run was in that state already. */
  outcome: Outcome | null;
}

const FEE_ALLOWANCE = 10_000;

/**
 * Asking for the state that the run is in already changes nothing and is no error.
 *
 * @throws PsycheError RUN_NOT_FOUND, NOT_RUN_OWNER, RUN_NOT_CONFIGURED, RUN_FINISHED, RUN_NOT_PAUSED,
 * RUN_NOT_STARTED, BALANCE_TOO_LOW, PREFLIGHT_FAILED
 */
export async function setPaused(
  context: OperatorContext,
  options: { runId: string; paused: boolean; treasurerIndex?: bigint },
): Promise<PauseResult> {
  const { runId, paused, treasurerIndex } = options;
  const run = await readRun(context, runId, treasurerIndex);
  const before = runStateText(run.state.runState);
  if (isThereAlready(run, paused)) {
    const pending = run.state.pendingPause;
    return { runId, paused, before, after: before, pending, outcome: null };
  }
  throwProblems([
    ...checkOwner(context, run),
    ...(paused ? checkPausable(run) : checkResumable(run)),
    ...await checkBalance(context, FEE_ALLOWANCE, paused ? "pausing" : "resuming"),
  ]);
  const outcome = await submit(context, {
    label: `${paused ? "pause" : "resume"} run "${runId}"`,
    instructions: ownerInstructions(context, run, { paused }),
  });
  const { state } = context.dryRun ? run : await readRun(context, runId);
  return {
    runId,
    paused,
    before,
    after: runStateText(state.runState),
    pending: state.pendingPause,
    outcome,
  };
}

function isThereAlready({ state }: RunOnChain, paused: boolean): boolean {
  if (paused) return state.runState === RunState.Paused || state.pendingPause;
  return !isHalted(state.runState) && !state.pendingPause;
}

function checkPausable({ runId, state }: RunOnChain): PsycheError[] {
  if (state.runState === RunState.Uninitialized) {
    return [
      new PsycheError(
        "RUN_NOT_STARTED",
        `The run "${runId}" was never started, so there is nothing to pause; it behaves as paused.`,
      ),
    ];
  }
  return checkUnfinished({ runId, state });
}

function checkUnfinished({ runId, state }: Pick<RunOnChain, "runId" | "state">): PsycheError[] {
  if (state.runState !== RunState.Finished) return [];
  return [
    new PsycheError(
      "RUN_FINISHED",
      `The run "${runId}" has finished its ${state.config.totalSteps} steps; create a new run.`,
    ),
  ];
}

function checkResumable(run: RunOnChain): PsycheError[] {
  const { runId, state } = run;
  if (state.pendingPause && !isHalted(state.runState)) {
    return [
      new PsycheError(
        "RUN_NOT_PAUSED",
        `The run "${runId}" is still on its way to a pause (${runStateText(state.runState)}); ` +
          `a pause cannot be taken back, so resume when it is Paused.`,
      ),
    ];
  }
  const problems = validateRun(state.config, state.model);
  return [
    ...checkUnfinished(run),
    ...(problems.length === 0 ? [] : [
      new PsycheError(
        "RUN_NOT_CONFIGURED",
        `The run "${runId}" cannot start with its present configuration ` +
          `(${problems.join("; ")}); give it one with update-config.`,
      ),
    ]),
  ];
}
