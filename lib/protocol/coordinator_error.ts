import { PsycheError } from "../error.ts";

/** Refusals of the coordinator program by name; docs/protocol/onchain-coordinator.md section 2. */
const MESSAGES = {
  UpdateConfigFinished: "The run is finished and cannot be changed; create a new run",
  UpdateConfigNotHalted: "The run is not halted; pause it first",
  ClientsFull: "256 different wallets have joined this run already; create a new run",
  ConfigSanityCheckFailed: "The run's [config] breaks a rule of the chain; validate the file",
  ModelSanityCheckFailed:
    "The run's [model] or progress breaks a rule of the chain; validate the file",
  ProgressSanityCheckFailed: "The step of the run is 0; set the progress to step 1 or later",
  SignerNotAClient: "The wallet is not a client of this run; join first",
  CoordinatorErrorNoActiveRound:
    "The round this message needs does not exist; wait for the next round",
  CoordinatorErrorInvalidWitness:
    "The witness proof is not what the round's seed elects; read the account again",
  CoordinatorErrorInvalidRunState:
    "The run state does not allow this message; read the account again",
  CoordinatorErrorDuplicateWitness:
    "This wallet has witnessed in this round already; do not send it again",
  CoordinatorErrorInvalidHealthCheck:
    "The health check is too early or its target is healthy; read the account again",
  CoordinatorErrorHalted: "The run is halted; its owner has to resume it",
  CoordinatorErrorWitnessesFull: "The round holds 32 witnesses already; wait for the next round",
  CoordinatorErrorCannotResume: "Only a paused run can be resumed; read the run state first",
  CoordinatorErrorInvalidCommitteeSelection:
    "No committee can be drawn; correct witness_nodes or verification_percent of the run",
  CoordinatorErrorInvalidCommitteeProof:
    "The committee proof is not what the round's seed gives; read the account again",
  MoreClientsThanBatches:
    "The run holds as many clients as a round has sequences; raise global_batch_size_end",
} as const;

export type CoordinatorErrorName = keyof typeof MESSAGES;

/** The error the program answers with; `code` is its on-chain name, `detail` the value at fault. */
export function coordinatorError(name: CoordinatorErrorName, detail?: string): PsycheError {
  const message = MESSAGES[name];
  return new PsycheError(name, detail === undefined ? `${message}.` : `${message} (${detail}).`);
}
