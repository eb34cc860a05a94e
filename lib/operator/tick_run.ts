/** Sends one tick; anybody may. commands.md section 7.4. */
import { tickInstruction } from "../chain/coordinator_instructions.ts";
import { PsycheError } from "../error.ts";
import { isHalted, runStateText } from "../protocol/run_state.ts";
import type { OperatorContext } from "./context.ts";
import { throwProblems } from "./problems.ts";
import { readRun } from "./read_run.ts";
import { type Outcome, submit } from "./submit.ts";

export interface TickResult {
  runId: string;
  before: string;
  after: string;
  step: number;
  outcome: Outcome;
}

/** @throws PsycheError RUN_NOT_FOUND, RUN_HALTED */
export async function tickRun(context: OperatorContext, runId: string): Promise<TickResult> {
  const run = await readRun(context, runId);
  const before = runStateText(run.state.runState);
  if (isHalted(run.state.runState)) {
    throwProblems([
      new PsycheError(
        "RUN_HALTED",
        `The run "${runId}" is halted (${before}), so it cannot tick; ` +
          `start it with set-paused --resume.`,
      ),
    ]);
  }
  const outcome = await submit(context, {
    label: `tick run "${runId}"`,
    instructions: [
      tickInstruction({
        ids: context.programIds,
        runId,
        coordinatorAccount: run.coordinatorAccount,
        user: context.payer.publicKey,
      }),
    ],
  });
  const { state } = context.dryRun ? run : await readRun(context, runId);
  return { runId, before, after: runStateText(state.runState), step: state.progress.step, outcome };
}
