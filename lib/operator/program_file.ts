/** Reads a built program. */
import { PsycheError } from "../error.ts";

/** Largest program that fits into an account. */
const MAX_PROGRAM_BYTES = 10 * 1024 * 1024 - 45;

/** @throws PsycheError PROGRAM_FILE_INVALID */
export async function readProgramFile(path: string): Promise<Uint8Array> {
  let bytes: Uint8Array;
  try {
    const { size, isFile } = await Deno.stat(path);
    if (!isFile || size > MAX_PROGRAM_BYTES) throw invalid(path, "is no program of at most 10 MiB");
    bytes = await Deno.readFile(path);
  } catch (error) {
    if (error instanceof PsycheError) throw error;
    throw invalid(path, "cannot be read", error);
  }
  const isElf = bytes[0] === 0x7f && bytes[1] === 0x45 && bytes[2] === 0x4c && bytes[3] === 0x46;
  if (!isElf) throw invalid(path, "is not an ELF file");
  return bytes;
}

function invalid(path: string, problem: string, cause?: unknown): PsycheError {
  return new PsycheError(
    "PROGRAM_FILE_INVALID",
    `The program file ${path} ${problem}; build it or name another folder.`,
    { cause },
  );
}
