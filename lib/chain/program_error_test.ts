import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { PublicKey, SystemProgram, TransactionInstruction } from "@solana/web3.js";
import { setPausedInstruction, tickInstruction } from "./coordinator_instructions.ts";
import { transactionFailure } from "./program_error.ts";
import { coordinatorIdl, defaultProgramIds } from "./programs.ts";

const key = (byte: number) => new PublicKey(new Uint8Array(32).fill(byte));
const run = { runId: "test", coordinatorAccount: key(9) };
const tick = tickInstruction({ ...run, user: key(1) });
const pause = setPausedInstruction({ ...run, authority: key(1), paused: true });
const coordinator = defaultProgramIds().coordinator.toBase58();

function failure(err: unknown, logs: string[] = [], instructions = [tick, pause]) {
  return transactionFailure(err, { label: "Tick", instructions, payer: "PAYER", logs });
}

Deno.test("every error of the program has a name and a whole sentence", () => {
  for (const { code, name } of coordinatorIdl.errors!) {
    const error = failure({ InstructionError: [0, { Custom: code }] });
    assert.equal(error.code, name);
    assert.match(error.message, new RegExp(`^Tick failed in tick: ${name}, [^;]+; .+\\.$`));
  }
});

Deno.test("errors of the framework are named too, and the step fits the instruction", () => {
  const error = failure({ InstructionError: [1, { Custom: 2003 }] });
  assert.equal(error.code, "ConstraintRaw");
  assert.match(error.message, /in set_paused: .*sign with the authority/);
  assert.equal(
    failure({ InstructionError: [0, { Custom: 3007 }] }).code,
    "AccountOwnedByWrongProgram",
  );
  assert.equal(
    failure({ InstructionError: [0, { Custom: 4100 }] }).code,
    "DeclaredProgramIdMismatch",
  );
});

Deno.test("the name in the log wins: it comes from the program that really failed", () => {
  const logs = [
    "Program X invoke [1]",
    "Program log: AnchorError occurred. Error Code: RunNotFunded. Error Number: 6000. Error Message: x.",
    "Program X failed: custom program error: 0x1770",
  ];
  const error = failure({ InstructionError: [0, { Custom: 6000 }] }, logs);
  assert.equal(error.code, "RunNotFunded");
  assert.deepEqual(error.logs, logs);
  // A line about another number is somebody else's.
  assert.equal(
    failure({ InstructionError: [0, { Custom: 6012 }] }, logs).code,
    "CoordinatorErrorInvalidRunState",
  );
});

Deno.test("system, runtime and transaction errors", () => {
  const system = `Program ${SystemProgram.programId.toBase58()} failed: custom program error: 0x0`;
  const token =
    "Program TokenkegQfeZyiNwAJbNbGKPFXCWuBvf9Ss623VQ5DA failed: custom program error: 0x1";
  const unknown = new TransactionInstruction({ programId: key(7), keys: [], data: Buffer.of(1) });
  const cases: [unknown, string, string[]?, TransactionInstruction[]?][] = [
    [{ InstructionError: [0, { Custom: 0 }] }, "ACCOUNT_ALREADY_IN_USE", [system]],
    [{ InstructionError: [0, { Custom: 1 }] }, "INSUFFICIENT_FUNDS", [system]],
    [{ InstructionError: [0, { Custom: 7 }] }, "SYSTEM_ERROR_7", [system]],
    [{ InstructionError: [0, { Custom: 1 }] }, "INSUFFICIENT_TOKENS", [token]],
    [{ InstructionError: [0, { Custom: 77 }] }, "PROGRAM_ERROR_77", [], [unknown]],
    [{ InstructionError: [0, "UnsupportedProgramId"] }, "PROGRAM_NOT_DEPLOYED"],
    [{ InstructionError: [0, "ComputationalBudgetExceeded"] }, "COMPUTE_BUDGET_EXCEEDED"],
    [{ InstructionError: [0, "ProgramFailedToComplete"] }, "PROGRAM_FAILED_TO_COMPLETE"],
    [{ InstructionError: [9, { Custom: 6012 }] }, "PROGRAM_ERROR_6012"],
    ["AccountNotFound", "INSUFFICIENT_FUNDS"],
    [{ InsufficientFundsForRent: { account_index: 0 } }, "INSUFFICIENT_FUNDS"],
    ["BlockhashNotFound", "BLOCKHASH_NOT_FOUND"],
    ["WouldExceedMaxBlockCostLimit", "WOULD_EXCEED_MAX_BLOCK_COST_LIMIT"],
    [{}, "UNKNOWN"],
  ];
  for (const [err, code, logs, instructions] of cases) {
    const error = failure(err, logs, instructions);
    assert.equal(error.code, code);
    assert.match(error.message, /^Tick failed.*\.$/);
  }
  const panic = [`Program ${coordinator} failed: attempt to add with overflow`];
  assert.match(
    failure({ InstructionError: [0, "ProgramFailedToComplete"] }, panic).message,
    /in tick: the program 4SHug\w+ ended with attempt to add with overflow/,
  );
});
