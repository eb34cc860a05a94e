/**
 * Compares a build with the committed programs: byte by byte, and where other tools give other bytes,
 * by what the programs do.
 */
import { PsycheError } from "../lib/error.ts";
import type { BuildFolders, BuiltPrograms, Checksums } from "./build.ts";

/** Random cases of the fuzz test, which the byte comparison does not need at all. */
const FUZZ_CASES = "20000";

/** How a build compares with the committed one. */
export interface Comparison {
  /** Files whose bytes are others. */
  different: string[];
  /** Tools of another version: "name: recorded, found". */
  otherTools: string[];
}

/** Compares built programs with the committed `.so` files and the recorded hashes. */
export async function compareBuild(
  { sources }: BuildFolders,
  built: BuiltPrograms,
  recorded: Checksums,
  found: Checksums,
): Promise<Comparison> {
  const different: string[] = [];
  for (const [name, bytes] of built) {
    const file = `${name}.so`;
    const committed = await Deno.readFile(`${sources}/${file}`);
    const same = committed.length === bytes.length &&
      committed.every((byte, i) => byte === bytes[i]) &&
      recorded.sha256[file] === found.sha256[file];
    if (!same) different.push(file);
  }
  const otherTools = Object.entries(found.toolchain)
    .filter(([tool, version]) => recorded.toolchain[tool] !== version)
    .map(([tool, version]) => `${tool}: recorded ${recorded.toolchain[tool]}, here ${version}`);
  return { different, otherTools };
}

/**
 * Runs the tests of the programs against built files instead of the committed ones.
 *
 * @throws PsycheError `PROGRAMS_MISBEHAVE` when a test fails
 */
export async function testBuild(
  { sources, target }: BuildFolders,
  built: BuiltPrograms,
  signal: AbortSignal,
): Promise<void> {
  const folder = `${target}/rebuilt`;
  await Deno.mkdir(folder, { recursive: true });
  for (const [name, bytes] of built) await Deno.writeFile(`${folder}/${name}.so`, bytes);
  const tests = `${sources}/../tests/programs`;
  const { success } = await new Deno.Command(Deno.execPath(), {
    // The one test left out is that the committed files have the recorded hashes.
    args: ["test", "--allow-all", `--ignore=${tests}/checksums_test.ts`, tests],
    env: { PSYCHE_PROGRAMS_FOLDER: folder, PSYCHE_FUZZ_CASES: FUZZ_CASES },
    cwd: `${sources}/..`,
    stdout: "inherit",
    stderr: "inherit",
    signal,
  }).output();
  if (success) return;
  throw new PsycheError(
    "PROGRAMS_MISBEHAVE",
    "The programs of this build fail the tests above; build with the recorded tool versions, or correct the sources.",
  );
}
