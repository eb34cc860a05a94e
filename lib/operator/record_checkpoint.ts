/** Writes onto the chain where a run's weights are; docs/protocol/commands.md section 7.5. */
import { checkpointInstruction } from "../chain/coordinator_instructions.ts";
import { PsycheError } from "../error.ts";
import { SHORT_TEXT } from "../protocol/limits.ts";
import { epochClientIndex } from "../protocol/run_state.ts";
import type { OperatorContext } from "./context.ts";
import { checkBalance } from "./preflight.ts";
import { throwProblems } from "./problems.ts";
import { readRun } from "./read_run.ts";
import { type Outcome, submit } from "./submit.ts";

export interface CheckpointResult {
  runId: string;
  repo: string;
  revision: string | null;
  outcome: Outcome;
}

/** @throws PsycheError RUN_NOT_FOUND, NOT_AN_EPOCH_CLIENT, TEXT_TOO_LONG, BALANCE_TOO_LOW */
export async function recordCheckpoint(
  context: OperatorContext,
  options: { runId: string; repo: string; revision: string | null },
): Promise<CheckpointResult> {
  const { runId, repo, revision } = options;
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
    ...checkText("repository", repo),
    ...checkText("revision", revision ?? ""),
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
        checkpoint: { kind: "Hub", repo: { repoId: repo, revision } },
      }),
    ],
  });
  return { runId, repo, revision, outcome };
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
