/** Does a program on a cluster do what this toolkit's sources say? */
import type { PublicKey } from "@solana/web3.js";
import { join } from "node:path";
import { bindProgramIds, programHash, readProgram } from "../chain/deploy.ts";
import { readProgramIds } from "../chain/program_ids_table.ts";
import type { ProgramIds } from "../chain/programs.ts";
import type { ReaderContext } from "./context.ts";
import { programId } from "./preflight.ts";
import { readProgramFile } from "./program_file.ts";

export type ProgramName = keyof ProgramIds;

export interface VerifiedProgram {
  name: ProgramName;
  address: string;
  /** `absent`: no program there; `different`: other bytes, or bound to other programs. */
  verdict: "same" | "different" | "absent";
  /** SHA-256 of the bytes on chain; null without a program. */
  sha256: string | null;
  /** SHA-256 of the program file when it is bound to the expected addresses. */
  expectedSha256: string;
  /** Null: nobody can change the program any more. */
  upgradeAuthority: string | null;
  /** Addresses that the program on chain was bound to; empty when it has no table of them. */
  boundIds: { program: ProgramName; found: string; expected: string }[];
}

/** Whose addresses a program holds, in the order of its table; its own first. */
export const BOUND_PROGRAMS: Record<ProgramName, ProgramName[]> = {
  authorizer: ["authorizer"],
  coordinator: ["coordinator", "authorizer"],
  treasurer: ["treasurer", "coordinator"],
};

/** @throws PsycheError PROGRAM_FILE_INVALID, PROGRAM_ID_TABLE_MISSING for a file that is not ours */
export async function verifyProgram(
  context: ReaderContext,
  name: ProgramName,
  programsDirectory = "programs",
): Promise<VerifiedProgram> {
  const { connection, programIds } = context;
  const address = programId(programIds, name);
  const file = await readProgramFile(join(programsDirectory, `${name}.so`));
  const expected = BOUND_PROGRAMS[name].map((program) => programId(programIds, program));
  const expectedSha256 = programHash(bindProgramIds(file, expected));
  const onChain = await readProgram(connection, address);
  const bound = readProgramIds(onChain.bytes, expected.length) ?? [];
  return {
    name,
    address: address.toBase58(),
    verdict: !onChain.executable
      ? "absent"
      : onChain.sha256 === expectedSha256
      ? "same"
      : "different",
    sha256: onChain.sha256,
    expectedSha256,
    upgradeAuthority: onChain.upgradeAuthority?.toBase58() ?? null,
    boundIds: bound.map((found: PublicKey, i) => ({
      program: BOUND_PROGRAMS[name][i],
      found: found.toBase58(),
      expected: expected[i].toBase58(),
    })),
  };
}
