/** Writes onto the chain where a run's weights are; docs/protocol/commands.md section 7.5. */
import { checkpointInstruction } from "../chain/coordinator_instructions.ts";
import { PsycheError } from "../error.ts";
import type { Checkpoint } from "../protocol/coordinator_state.ts";
import { SHORT_TEXT } from "../protocol/limits.ts";
import { mergeCheckpoint, type SubmittedCheckpoint } from "../protocol/merge_checkpoint.ts";
import { epochClientIndex } from "../protocol/run_state.ts";
import type { OperatorContext } from "./context.ts";
import { checkBalance } from "./preflight.ts";
import { throwProblems } from "./problems.ts";
import { readRun } from "./read_run.ts";
import { type Outcome, submit } from "./submit.ts";

export interface CheckpointResult {
  runId: string;
  checkpoint: SubmittedCheckpoint;
  outcome: Outcome;
}

/**
 * @throws PsycheError RUN_NOT_FOUND, NOT_AN_EPOCH_CLIENT, CHECKPOINT_IGNORED, TEXT_TOO_LONG,
 * BALANCE_TOO_LOW
 */
export async function recordCheckpoint(
  context: OperatorContext,
  { runId, checkpoint }: { runId: string; checkpoint: SubmittedCheckpoint },
): Promise<CheckpointResult> {
  const run = await readRun(context, runId);
  const wallet = context.payer.publicKey;
  throwProblems([
    ...(epochClientIndex(run.state, wallet.toBytes()) >= 0 ? [] : [
      new PsycheError(
        "NOT_AN_EPOCH_CLIENT",
        `${wallet.toBase58()} takes no part in the current epoch of "${runId}", and only its ` +
          `clients may record a checkpoint; use the wallet of a client.`,
      ),
    ]),
    ...checkHeard(run.state.model.checkpoint, checkpoint),
    ...checkTexts(checkpoint),
    ...await checkBalance(context, 10_000, "recording a checkpoint"),
  ]);
  const outcome = await submit(context, {
    label: `record a checkpoint of run "${runId}"`,
    instructions: [
      checkpointInstruction({
        ids: context.programIds,
        runId,
        coordinatorAccount: run.coordinatorAccount,
        user: wallet,
        checkpoint,
      }),
    ],
  });
  return { runId, checkpoint, outcome };
}

/** The chain takes such a transaction and does nothing: better to say so. */
function checkHeard(stored: Checkpoint, submitted: SubmittedCheckpoint): PsycheError[] {
  if (mergeCheckpoint(stored, submitted) !== null) return [];
  return [
    new PsycheError(
      "CHECKPOINT_IGNORED",
      `The run's checkpoint is of the kind ${stored.kind}, and the chain ignores one of the kind ` +
        `${submitted.kind}; wait for the end of the first epoch, or change it with update-config.`,
    ),
  ];
}

function checkTexts({ kind, repo }: SubmittedCheckpoint): PsycheError[] {
  return kind === "Hub"
    ? [...checkText("repository", repo.repoId), ...checkText("revision", repo.revision ?? "")]
    : [...checkText("bucket", repo.bucket), ...checkText("prefix", repo.prefix ?? "")];
}

function checkText(field: string, value: string): PsycheError[] {
  const { length } = new TextEncoder().encode(value);
  if (length <= SHORT_TEXT) return [];
  return [
    new PsycheError(
      "TEXT_TOO_LONG",
      `The ${field} has ${length} bytes and the account holds ${SHORT_TEXT}; use a shorter one.`,
    ),
  ];
}
