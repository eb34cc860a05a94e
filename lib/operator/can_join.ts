/** Would this key be let into the run now? docs/protocol/commands.md section 6.7. */
import type { PublicKey } from "@solana/web3.js";
import { EVERYBODY, findJoinAuthorization } from "../chain/authorizer.ts";
import { PsycheError } from "../error.ts";
import { RunState } from "../protocol/coordinator_state.ts";
import { MAX_CLIENTS } from "../protocol/limits.ts";
import { epochClientIndex, isHalted, runStateText } from "../protocol/run_state.ts";
import type { ReaderContext } from "./context.ts";
import { formatSol } from "./lamports.ts";
import { throwProblems } from "./problems.ts";
import { readRun, type RunOnChain } from "./read_run.ts";

export interface JoinVerdict {
  runId: string;
  address: string;
  /** Account that lets the key in. */
  authorization: string;
  state: string;
  /** The run waits for its owner, so a client would wait too. */
  halted: boolean;
  clientVersion: string;
  balanceLamports: number;
}

/** Fees of about a day of training: a few thousand transactions. */
const LEAST_LAMPORTS = 20_000_000;

/** @throws PsycheError RUN_NOT_FOUND and one for each thing that stands in the way, all at once */
export async function canJoin(
  context: ReaderContext,
  options: { runId: string; address: PublicKey; authorizer?: PublicKey },
): Promise<JoinVerdict> {
  const { connection, programIds } = context;
  const { runId, address, authorizer } = options;
  const run = await readRun(context, runId);
  const [authorization, balanceLamports] = await Promise.all([
    findJoinAuthorization(connection, programIds, run.joinAuthority, address, authorizer),
    connection.getBalance(address),
  ]);
  throwProblems([
    ...(authorization === null ? [notAuthorized(run, address, authorizer)] : []),
    ...checkMembership(run, address),
    ...checkFunds(context, address, balanceLamports),
  ]);
  return {
    runId,
    address: address.toBase58(),
    authorization: authorization!.toBase58(),
    state: runStateText(run.state.runState),
    halted: isHalted(run.state.runState),
    clientVersion: run.state.clientVersion,
    balanceLamports,
  };
}

function notAuthorized(run: RunOnChain, address: PublicKey, authorizer?: PublicKey): PsycheError {
  const tried = authorizer === undefined || authorizer.equals(EVERYBODY)
    ? "for everybody or this key"
    : `for everybody, this key or ${authorizer.toBase58()}`;
  return new PsycheError(
    "NOT_AUTHORIZED",
    `The run "${run.runId}" is permissioned: its join authority ${run.joinAuthority.toBase58()} ` +
      `has no active authorization ${tried} that covers ${address.toBase58()}; ask for one, or name ` +
      `the grantee that made you a delegate with --authorizer.`,
  );
}

function checkMembership({ runId, state }: RunOnChain, address: PublicKey): PsycheError[] {
  const problems: PsycheError[] = [];
  if (state.runState === RunState.Finished) {
    problems.push(new PsycheError("RUN_FINISHED", `The run "${runId}" is finished; pick another.`));
  }
  const key = address.toBytes();
  if (!isHalted(state.runState) && epochClientIndex(state, key) >= 0) {
    problems.push(
      new PsycheError(
        "ALREADY_TRAINING",
        `${address.toBase58()} takes part in the current epoch of "${runId}" already; a second ` +
          `client with this key would silently break the first, so use another wallet.`,
      ),
    );
  }
  const { clients } = state.clientsState;
  const isKnown = clients.some(({ id }) => id.signer.every((byte, i) => byte === key[i]));
  const room = Math.min(MAX_CLIENTS, state.config.globalBatchSizeEnd || MAX_CLIENTS);
  if (!isKnown && clients.length >= room) {
    problems.push(
      new PsycheError(
        "RUN_FULL",
        `The run "${runId}" knows ${clients.length} clients and has room for ${room}; pick another.`,
      ),
    );
  }
  return problems;
}

function checkFunds(context: ReaderContext, address: PublicKey, balance: number): PsycheError[] {
  if (balance >= LEAST_LAMPORTS || context.cluster.startsWith("localnet")) return [];
  return [
    new PsycheError(
      "BALANCE_TOO_LOW",
      `${address.toBase58()} holds ${formatSol(balance)} on ${context.cluster}, and a day of ` +
        `training costs about ${formatSol(LEAST_LAMPORTS)} in fees; fund it.`,
    ),
  ];
}
