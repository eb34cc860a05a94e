import type { Connection, PublicKey } from "@solana/web3.js";
import { findJoinAuthorization } from "../chain/authorizer.ts";
import type { ProgramIds } from "../chain/programs.ts";
import { PsycheError } from "../error.ts";
import { type CoordinatorState, RunState } from "../protocol/coordinator_state.ts";
import { COMPUTED_ARCHITECTURES } from "../protocol/model_image.ts";
import { NOT_LOCAL } from "../trainer/data/create_provider.ts";
import { companyProblem } from "./single_client.ts";

/** Below this balance (lamports) a client cannot pay for a few rounds: 0.001 SOL are 200 signatures. */
const MINIMUM_BALANCE = 1_000_000;

export interface PreflightOptions {
  connection: Connection;
  ids: ProgramIds;
  state: CoordinatorState;
  joinAuthority: PublicKey;
  wallet: PublicKey;
  authorizer?: PublicKey;
  clientVersion?: string;
}

/**
 * Says no before anything is loaded or spent, with every reason at once.
 *
 * @throws PsycheError `CLIENT_VERSION_MISMATCH` (exit code 10) when the version is the only problem,
 *   else `CANNOT_TRAIN`
 */
export async function checkBeforeTraining(options: PreflightOptions): Promise<void> {
  const { connection, ids, state, joinAuthority, wallet, authorizer } = options;
  const [balance, authorization] = await Promise.all([
    connection.getBalance(wallet),
    findJoinAuthorization(connection, ids, joinAuthority, wallet, authorizer),
  ]);
  const problems = unsupported(state);
  const company = companyProblem(state, wallet.toBytes());
  if (company !== null) problems.push(company);
  if (balance < MINIMUM_BALANCE) {
    problems.push(
      `wallet ${wallet.toBase58()} holds ${balance / 1e9} SOL and every message costs 0.000005: ` +
        "transfer some SOL to it",
    );
  }
  if (authorization === null && state.runState !== RunState.Finished) {
    problems.push(
      `wallet ${wallet.toBase58()} has no authorization to join: ask ${joinAuthority.toBase58()}, ` +
        "who grants them, or give --authorizer",
    );
  }
  const version = versionProblem(state, options.clientVersion);
  if (problems.length === 0 && version === null) return;
  if (problems.length === 0) {
    throw new PsycheError(
      "CLIENT_VERSION_MISMATCH",
      `Run "${state.runId}" cannot be joined: ${version}.`,
      { exitCode: 10 },
    );
  }
  if (version !== null) problems.push(version);
  throw new PsycheError(
    "CANNOT_TRAIN",
    `Run "${state.runId}" cannot be joined:${problems.map((text) => `\n  ${text}`).join("")}`,
  );
}

/** What differs between the run's version and this client's, or null; client-lifecycle.md section 1. */
export function versionProblem(
  { clientVersion: wanted }: CoordinatorState,
  own: string | undefined,
): string | null {
  if (own === undefined || wanted === "test" || wanted === own) return null;
  return `it wants client version "${wanted}" and this is "${own}": install that version`;
}

/** Settings of the run that this client does not implement. */
function unsupported({ model, config }: CoordinatorState): string[] {
  const problems: string[] = [];
  if (!COMPUTED_ARCHITECTURES.includes(model.architecture)) {
    problems.push(`the architecture ${model.architecture} is not implemented: use another client`);
  }
  if (model.optimizer.kind === "Dummy") {
    problems.push("the optimizer Dummy trains nothing: the run needs Distro or AdamW");
  }
  if (model.dataLocation.kind === "Local") {
    problems.push(`the data location is Local (${model.dataLocation.path}): ${NOT_LOCAL}`);
  }
  if (config.verificationPercent !== 0) {
    problems.push("verification_percent is above 0, and no client implements verifiers");
  }
  return problems;
}
