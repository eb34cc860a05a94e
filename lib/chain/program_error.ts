/**
 * From what the chain reports to one sentence: which instruction, which error, what to do.
 *
 * Numbers decide, never message texts; names come from the IDLs, from Anchor, and from the log line
 * with which a program names its own error (docs/protocol/onchain-common.md section 5).
 */
import { type Idl, LangErrorCode, LangErrorMessage } from "@coral-xyz/anchor";
import { SystemProgram, type TransactionInstruction } from "@solana/web3.js";
import { PsycheError } from "../error.ts";
import { TOKEN_PROGRAM_ID } from "./pda.ts";
import { knownIdls } from "./programs.ts";

/** A transaction that the chain, or its simulation, refused. */
export class TransactionFailedError extends PsycheError {
  /** What the programs logged. */
  readonly logs: string[];
  /** Present when the transaction really landed on chain. */
  readonly signature?: string;

  constructor(
    code: string,
    message: string,
    details: { logs?: string[]; signature?: string; cause?: unknown },
  ) {
    super(code, message, { cause: details.cause });
    this.logs = details.logs ?? [];
    this.signature = details.signature;
  }
}

export interface FailureContext {
  /** What the user wanted, for example "Join run". */
  label: string;
  /** In the order of the transaction. */
  instructions: TransactionInstruction[];
  payer: string;
  logs: string[];
  signature?: string;
}

/** The error of a refused transaction. `err` is the `err` member of a status, simulation or RPC answer. */
export function transactionFailure(err: unknown, context: FailureContext): TransactionFailedError {
  const { label, payer, logs, signature } = context;
  const make = (code: string, message: string) =>
    new TransactionFailedError(code, `${label} failed${message}`, { logs, signature, cause: err });

  const instructionError = memberOf(err, "InstructionError");
  if (Array.isArray(instructionError)) {
    const [index, reason] = instructionError as [number, unknown];
    return instructionFailure(make, context, context.instructions[index], reason);
  }
  const kind = typeof err === "string" ? err : Object.keys(err as object ?? {})[0] ?? "unknown";
  switch (kind) {
    case "AccountNotFound":
    case "InsufficientFundsForFee":
      return make(
        "INSUFFICIENT_FUNDS",
        `: the wallet ${payer} cannot pay the fee; put SOL into it and try again.`,
      );
    case "InsufficientFundsForRent":
      return make(
        "INSUFFICIENT_FUNDS",
        `: an account would be left below its rent minimum; put more SOL into the wallet ${payer} and try again.`,
      );
    case "BlockhashNotFound":
      return make(
        "BLOCKHASH_NOT_FOUND",
        ": the node does not know the blockhash; try again, or use a node that is not behind.",
      );
    case "ProgramAccountNotFound":
    case "InvalidProgramForExecution":
      return make(
        "PROGRAM_NOT_DEPLOYED",
        ": a program it needs is not deployed; deploy the programs first or check the program ids.",
      );
    default:
      return make(
        screamingSnake(kind),
        `: the chain refused the transaction with ${JSON.stringify(err)}; see its logs.`,
      );
  }
}

function instructionFailure(
  make: (code: string, message: string) => TransactionFailedError,
  { payer, logs }: FailureContext,
  instruction: TransactionInstruction | undefined,
  reason: unknown,
): TransactionFailedError {
  const named = instruction && nameOf(instruction);
  const name = named?.name;
  const where = name ? ` in ${name}` : "";
  const custom = memberOf(reason, "Custom");
  const failing = failingProgram(logs) ?? instruction?.programId.toBase58();
  if (typeof custom === "number") {
    if (failing === SystemProgram.programId.toBase58()) return systemFailure(make, custom, payer);
    if (failing === TOKEN_PROGRAM_ID.toBase58() && custom === 1) {
      return make(
        "INSUFFICIENT_TOKENS",
        `${where}: a token account holds less than is taken from it; top it up or use a smaller amount.`,
      );
    }
    const error = errorName(custom, logs, named?.idl);
    if (error) {
      const step = nextStep(error.name, name);
      return make(error.name, `${where}: ${error.name}, ${plain(error.text)}; ${step}.`);
    }
    return make(
      `PROGRAM_ERROR_${custom}`,
      `${where}: the program ${failing} returned its error ${custom}; see the transaction's logs.`,
    );
  }
  const kind = typeof reason === "string" ? reason : Object.keys(reason as object ?? {})[0];
  if (kind === "UnsupportedProgramId" || kind === "IncorrectProgramId") {
    return make(
      "PROGRAM_NOT_DEPLOYED",
      `${where}: there is no program at ${failing}; deploy the programs first or check the program ids.`,
    );
  }
  if (kind === "ComputationalBudgetExceeded") {
    return make(
      "COMPUTE_BUDGET_EXCEEDED",
      `${where}: the program needed more compute units than the limit; try again or raise the limit.`,
    );
  }
  return make(
    screamingSnake(kind ?? "unknown"),
    `${where}: the program ${failing} ended with ${
      failureText(logs) ?? kind
    }; see the transaction's logs.`,
  );
}

/** The system program's own errors that a user can meet. */
function systemFailure(
  make: (code: string, message: string) => TransactionFailedError,
  custom: number,
  payer: string,
): TransactionFailedError {
  if (custom === 0) {
    return make(
      "ACCOUNT_ALREADY_IN_USE",
      ": an account it wants to create exists already; use another name or work with the existing one.",
    );
  }
  if (custom === 1) {
    return make(
      "INSUFFICIENT_FUNDS",
      `: the wallet ${payer} has too little SOL for this; put more into it and try again.`,
    );
  }
  return make(
    `SYSTEM_ERROR_${custom}`,
    `: the system program returned its error ${custom}; see the transaction's logs.`,
  );
}

/** Instruction name and IDL by discriminator, so that no program id has to be known here. */
function nameOf(instruction: TransactionInstruction): { name: string; idl: Idl } | undefined {
  for (const idl of knownIdls) {
    const found = idl.instructions.find(({ discriminator }) =>
      discriminator.every((byte, i) => instruction.data[i] === byte)
    );
    if (found) return { name: found.name, idl };
  }
}

const ERROR_LINE = /Error Code: (\w+)\. Error Number: (\d+)\./;

function errorName(
  number: number,
  logs: string[],
  idl: Idl | undefined,
): { name: string; text: string } | undefined {
  // A program that calls another one passes that one's number on, so the log line comes first.
  for (const line of logs) {
    const match = ERROR_LINE.exec(line);
    if (match && Number(match[2]) === number) {
      return { name: match[1], text: textOf(match[1]) };
    }
  }
  const own = idl?.errors?.find((error) => error.code === number);
  if (own) return { name: own.name, text: own.msg ?? own.name };
  const framework = Object.entries(LangErrorCode).find(([, code]) => code === number);
  if (framework) return { name: framework[0], text: textOf(framework[0]) };
}

function textOf(name: string): string {
  for (const idl of knownIdls) {
    const own = idl.errors?.find((error) => error.name === name);
    if (own?.msg) return own.msg;
  }
  const code = (LangErrorCode as Record<string, number>)[name];
  return LangErrorMessage.get(code) ?? "as the program calls it";
}

const FAILED_LINE = /^Program (\w+) failed: (.*)/;

/** The innermost program that failed: its line is the first of the "failed" lines. */
function failingProgram(logs: string[]): string | undefined {
  return logs.map((line) => FAILED_LINE.exec(line)?.[1]).find(Boolean);
}

/** How the runtime words that failure. */
function failureText(logs: string[]): string | undefined {
  return logs.map((line) => FAILED_LINE.exec(line)?.[2]).find(Boolean);
}

const NEXT_STEPS: Record<string, string> = {
  UpdateConfigFinished: "create a new run",
  UpdateConfigNotHalted: "pause the run, wait until it is Paused, and try again",
  ClientsFull: "wait for a new run",
  MoreClientsThanBatches: "raise global_batch_size_end or use fewer clients",
  ConfigSanityCheckFailed: "correct the [config] section of the run configuration",
  ModelSanityCheckFailed: "correct the [model.LLM] section of the run configuration",
  SignerNotAClient: "join the run first",
  SignerMismatch: "sign with the wallet that the client id names",
  CloseCoordinatorNotHalted: "pause the run, wait until it is Paused, and try again",
  CoordinatorErrorInvalidRunState: "read the run's state and try again when it fits",
  CoordinatorErrorHalted: "resume the run first",
  CoordinatorErrorCannotResume: "read the run's state; only Paused can be resumed",
  CoordinatorErrorDuplicateWitness: "nothing needs to be done",
  InvalidParameter: "claim at most the points that are not claimed yet",
  AuthorizationActiveIsTrue: "deactivate the authorization first",
  AuthorizationClosingConditionsNotReachedYet: "clear the delegates or wait 30 days",
  DeclaredProgramIdMismatch:
    "deploy a program that is bound to this address, or use the address it declares",
  InstructionFallbackNotFound: "check the program ids; another program answers at this address",
  AccountNotInitialized: "create the missing account first",
  AccountOwnedByWrongProgram: "check the program ids and the account addresses",
};

function nextStep(error: string, instruction: string | undefined): string {
  if (error === "ConstraintRaw") {
    if (instruction === "participant_claim") {
      return "use the run's own accounts and your token account of its collateral, without a delegate";
    }
    return instruction === "join_run"
      ? "ask the run's owner for a join authorization of this wallet"
      : "sign with the authority that owns this account";
  }
  return NEXT_STEPS[error] ?? "see the transaction's logs";
}

/** Lower-case first letter and no full stop, to stand inside a sentence. */
function plain(text: string): string {
  return text.charAt(0).toLowerCase() + text.slice(1).replace(/\.$/, "");
}

function screamingSnake(name: string): string {
  return name.replace(/([a-z0-9])([A-Z])/g, "$1_$2").toUpperCase();
}

function memberOf(value: unknown, key: string): unknown {
  return typeof value === "object" && value !== null
    ? (value as Record<string, unknown>)[key]
    : undefined;
}
