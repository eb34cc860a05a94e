/** Closes the accounts of a run; their rent goes back to its owner. commands.md section 7.6. */
import { freeCoordinatorInstruction } from "../chain/coordinator_instructions.ts";
import { PsycheError } from "../error.ts";
import { isHalted, runStateText } from "../protocol/run_state.ts";
import type { OperatorContext } from "./context.ts";
import { checkBalance } from "./preflight.ts";
import { throwProblems } from "./problems.ts";
import { checkOwner, readRun, type RunOnChain } from "./read_run.ts";
import { removeRunRecord } from "./run_record.ts";
import { type Outcome, submit } from "./submit.ts";

export interface ClosedRun {
  runId: string;
  /** What both accounts held. */
  recoveredLamports: number;
  outcome: Outcome;
}

export interface CloseOptions {
  runId: string;
  treasurerIndex?: bigint;
  /** Called after all checks with what comes back; throws to refuse. */
  confirm?: (run: RunOnChain, lamports: number) => Promise<void>;
}

/**
 * @throws PsycheError RUN_NOT_FOUND, RUN_HAS_TREASURER, NOT_RUN_OWNER, RUN_NOT_HALTED,
 * BALANCE_TOO_LOW, PREFLIGHT_FAILED
 */
export async function closeRun(
  context: OperatorContext,
  options: CloseOptions,
): Promise<ClosedRun> {
  const { connection, programIds, payer, runsDirectory, cluster } = context;
  const { runId } = options;
  const run = await readRun(context, runId, options.treasurerIndex);
  throwProblems([
    ...(run.treasurer === null ? checkOwner(context, run) : [hasTreasurer(run)]),
    ...checkHalted(run),
    ...await checkBalance(context, 10_000, "closing a run"),
  ]);
  const [instance, account] = await connection.getMultipleAccountsInfo([
    run.instance,
    run.coordinatorAccount,
  ]);
  const recoveredLamports = (instance?.lamports ?? 0) + (account?.lamports ?? 0);
  if (!context.dryRun) await options.confirm?.(run, recoveredLamports);
  const outcome = await submit(context, {
    label: `close run "${runId}"`,
    instructions: [
      freeCoordinatorInstruction({
        ids: programIds,
        runId,
        coordinatorAccount: run.coordinatorAccount,
        authority: payer.publicKey,
      }),
    ],
  });
  if (outcome.signature !== null) await removeRunRecord(runsDirectory, cluster, runId);
  return { runId, recoveredLamports, outcome };
}

function hasTreasurer({ runId, treasurer }: RunOnChain): PsycheError {
  return new PsycheError(
    "RUN_HAS_TREASURER",
    `The run "${runId}" belongs to the treasurer ${
      treasurer!.address.toBase58()
    }, and the treasurer ` +
      `program has no way to close a run: its accounts and the collateral in ` +
      `${
        treasurer!.collateralAccount.toBase58()
      } stay, so that clients can go on claiming; pause it ` +
      `with set-paused instead.`,
  );
}

function checkHalted({ runId, state }: RunOnChain): PsycheError[] {
  if (isHalted(state.runState)) return [];
  return [
    new PsycheError(
      "RUN_NOT_HALTED",
      `The run "${runId}" is in the state "${
        runStateText(state.runState)
      }" and only a halted run ` +
        `can be closed; pause it with set-paused and wait until it is Paused.`,
    ),
  ];
}
