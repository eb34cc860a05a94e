/** What {@linkcode prepareRun} would do, and what it would lock; for `--dry-run`. */
import { join } from "node:path";
import { COORDINATOR_ACCOUNT_BYTES } from "../chain/coordinator_instructions.ts";
import { authorizationAddress, coordinatorInstanceAddress } from "../chain/pda.ts";
import { EVERYBODY } from "../chain/authorizer.ts";
import type { OperatorContext } from "./context.ts";
import { deployPrograms, type ProgramName } from "./deploy_programs.ts";
import type { PrepareRunOptions, RunStep } from "./prepare_run.ts";
import { readProgramFile } from "./program_file.ts";

/** One step of the plan. */
export interface PlannedStep {
  step: RunStep;
  /** In words. */
  effect: string;
  /** Locked as rent, at most. */
  lamports: number;
}

/** Account sizes, docs/protocol/onchain-common.md section 7. */
const INSTANCE_BYTES = 173;
const AUTHORIZATION_BYTES = 108;

/**
 * Looks at the cluster and says what each step would do. Nothing is sent; the deployment is simulated,
 * the steps after it build on programs that may not be there yet and are only computed.
 *
 * @throws PsycheError the errors of a deployment's dry run
 */
export async function planRun(
  context: OperatorContext,
  options: PrepareRunOptions,
): Promise<PlannedStep[]> {
  const { connection, payer, programIds } = context;
  const { programsDirectory = "programs", runId } = options;
  const source = async (name: ProgramName) => ({
    so: await readProgramFile(join(programsDirectory, `${name}.so`)),
  });
  const deployment = await deployPrograms({ ...context, dryRun: true }, {
    programs: {
      authorizer: await source("authorizer"),
      coordinator: await source("coordinator"),
      treasurer: options.treasurer ? await source("treasurer") : undefined,
    },
    maxLength: options.maxLen,
  });
  const rent = (bytes: number) => connection.getMinimumBalanceForRentExemption(bytes);
  const [authorization, run, authorizationRent, accountRent, instanceRent] = await Promise.all([
    connection.getAccountInfo(authorizationAddress(programIds, payer.publicKey, EVERYBODY)),
    connection.getAccountInfo(coordinatorInstanceAddress(programIds, runId)),
    rent(AUTHORIZATION_BYTES),
    rent(COORDINATOR_ACCOUNT_BYTES),
    rent(INSTANCE_BYTES),
  ]);
  const steps: PlannedStep[] = deployment.programs.map((
    { name, programId, action, lamportsLocked },
  ) => ({
    step: "programs",
    effect: action === "deploy"
      ? `deploys the ${name} under a new id`
      : `${name} ${programId}: ${action}`,
    lamports: lamportsLocked,
  }));
  if (options.permissionless !== false) {
    steps.push({
      step: "authorization",
      effect: authorization ? "everybody may join already" : "lets everybody join",
      lamports: authorization ? 0 : authorizationRent,
    });
  }
  steps.push(
    {
      step: "run",
      effect: run ? `the run "${runId}" is there` : `creates the run "${runId}"`,
      lamports: run ? 0 : accountRent + instanceRent,
    },
    { step: "config", effect: "writes the configuration", lamports: 0 },
    { step: "resume", effect: "lets the run wait for members", lamports: 0 },
  );
  return steps;
}
