/** Programs and accounts that are on the chain from genesis. */
import { PsycheError } from "../error.ts";
import { checkAccountSize } from "./bank.ts";
import { fromBase58, knownKey } from "./base58.ts";
import { UPGRADEABLE_LOADER } from "./known_programs.ts";
import { findProgramAddress } from "./program_address.ts";
import type { Svm } from "./svm.ts";

/** Program data of a reserved program: room for any program of about this size. */
export const RESERVED_PROGRAM_BYTES = 500_000;

/** A program with its data in files or memory. `id` and `authority` are base58. */
export interface GenesisProgram {
  id: string;
  elf: Uint8Array;
  /** Who may upgrade it. Without: the program is under the loader without upgrades. */
  authority?: string;
  /** Least program data, bytes; the ELF is padded with zeros. */
  room?: number;
}

/** Base58 to 32 bytes. @throws PsycheError `ADDRESS_INVALID` */
export function parseAddress(text: string, what: string): Uint8Array {
  const key = fromBase58(text, 32);
  if (key) return key;
  throw new PsycheError(
    "ADDRESS_INVALID",
    `${what} "${text.slice(0, 60)}" is not an address; give 32 bytes in base58.`,
    { exitCode: 2 },
  );
}

/**
 * Puts a program on the chain as loader v3 would have left it in slot 0.
 *
 * @throws PsycheError `ADDRESS_INVALID`, `ACCOUNT_TOO_LARGE`, `PROGRAM_INVALID`
 */
export function addGenesisProgram(svm: Svm, program: GenesisProgram): void {
  const key = parseAddress(program.id, "The program id");
  try {
    if (program.authority === undefined) return svm.addProgram(key, program.elf);
    const authority = parseAddress(program.authority, "The upgrade authority");
    addUpgradeable(svm, key, program.elf, authority, program.room ?? 0);
  } catch (cause) {
    if (cause instanceof PsycheError) throw cause;
    throw new PsycheError(
      "PROGRAM_INVALID",
      `The program for ${program.id} cannot be loaded (${
        cause instanceof Error ? cause.message : cause
      }); give an SBF shared object of SBPF version 0 to 2.`,
      { cause },
    );
  }
}

function addUpgradeable(
  svm: Svm,
  key: Uint8Array,
  elf: Uint8Array,
  authority: Uint8Array,
  room: number,
): void {
  const loader = knownKey(UPGRADEABLE_LOADER);
  const dataKey = findProgramAddress([key], loader);
  // ProgramData: tag 3, slot 0, Some(authority), then the ELF.
  const programData = new Uint8Array(45 + Math.max(elf.length, room));
  checkAccountSize(programData.length);
  programData[0] = 3;
  programData[12] = 1;
  programData.set(authority, 13);
  programData.set(elf, 45);
  // Program: tag 2, then the address of its data.
  const programAccount = new Uint8Array(36);
  programAccount[0] = 2;
  programAccount.set(dataKey, 4);
  const put = (at: Uint8Array, data: Uint8Array, executable: boolean): void =>
    svm.setAccount(at, {
      lamports: svm.rentExemption(data.length),
      data,
      owner: loader,
      executable,
      rentEpoch: 0n,
    });
  put(dataKey, programData, false);
  put(key, programAccount, true);
}
