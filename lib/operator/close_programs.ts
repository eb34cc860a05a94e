/** Closes deployed programs for good; their rent comes back. commands.md section 2.6. */
import { readProgram } from "../chain/deploy.ts";
import { closeProgram, programDataAddress } from "../chain/loader_v3.ts";
import type { ProgramIds } from "../chain/programs.ts";
import type { OperatorContext } from "./context.ts";
import { checkBalance, programId } from "./preflight.ts";
import { throwProblems } from "./problems.ts";
import { type Outcome, submit } from "./submit.ts";

export interface ClosableProgram {
  name: keyof ProgramIds;
  address: string;
  recoveredLamports: number;
}

export interface ClosedPrograms {
  closed: (ClosableProgram & { outcome: Outcome })[];
  /** Programs that stay, and why. */
  kept: { name: keyof ProgramIds; address: string; reason: string }[];
}

/** The address of a closed program can never be used again. */
const NAMES: (keyof ProgramIds)[] = ["treasurer", "coordinator", "authorizer"];

/**
 * Closes those of the three programs that the paying wallet may upgrade.
 *
 * @param confirm called once with what is to be closed; false keeps everything
 * @throws PsycheError BALANCE_TOO_LOW
 */
export async function closePrograms(
  context: OperatorContext,
  confirm: (programs: ClosableProgram[]) => Promise<boolean>,
): Promise<ClosedPrograms> {
  const { connection, payer } = context;
  const closable: ClosableProgram[] = [];
  const result: ClosedPrograms = { closed: [], kept: [] };
  for (const name of NAMES) {
    const id = programId(context.programIds, name);
    const program = await readProgram(connection, id);
    const address = id.toBase58();
    if (program.sha256 === null) result.kept.push({ name, address, reason: "no program there" });
    else if (!program.upgradeAuthority?.equals(payer.publicKey)) {
      const owner = program.upgradeAuthority?.toBase58() ?? "nobody";
      result.kept.push({ name, address, reason: `it belongs to ${owner}` });
    } else {
      const recoveredLamports = await connection.getBalance(programDataAddress(id));
      closable.push({ name, address, recoveredLamports });
    }
  }
  if (closable.length === 0) return result;
  throwProblems(await checkBalance(context, 10_000 * closable.length, "closing the programs"));
  if (!context.dryRun && !await confirm(closable)) {
    const kept = closable.map(({ name, address }) => ({ name, address, reason: "not confirmed" }));
    return { closed: [], kept: [...result.kept, ...kept] };
  }
  for (const program of closable) {
    const id = programId(context.programIds, program.name);
    const outcome = await submit(context, {
      label: `close the ${program.name} program`,
      instructions: [closeProgram(id, payer.publicKey, payer.publicKey)],
    });
    result.closed.push({ ...program, outcome });
  }
  return result;
}
