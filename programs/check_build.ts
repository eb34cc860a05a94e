/**
 * Compares a build with the committed files: byte by byte, and where other tools give other bytes, by
 * what the programs and kernels do.
 */
import { cp } from "node:fs/promises";
import { statusWithTalk } from "../lib/container/run_child.ts";
import { PsycheError } from "../lib/error.ts";
import { type BuildFolders, type BuiltFiles, type Checksums, committedPath } from "./build.ts";

/** Random cases of the fuzz test, which the byte comparison does not need at all. */
const FUZZ_CASES = "20000";

/** How a build compares with the committed one. */
export interface Comparison {
  /** Files whose bytes are others. */
  different: string[];
  /** Tools of another version: "name: recorded, found". */
  otherTools: string[];
}

/** Compares built files with the committed ones and the recorded hashes. */
export async function compareBuild(
  folders: BuildFolders,
  built: BuiltFiles,
  recorded: Checksums,
  found: Checksums,
): Promise<Comparison> {
  const different: string[] = [];
  for (const [file, bytes] of built) {
    const committed = await Deno.readFile(committedPath(folders, file));
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
 * Runs the tests of the programs, and those of the kernels, against built files instead of the committed
 * ones.
 *
 * @throws PsycheError `PROGRAMS_MISBEHAVE` when a test fails
 */
export async function testBuild(
  { sources, target }: BuildFolders,
  built: BuiltFiles,
  signal: AbortSignal,
): Promise<void> {
  const folder = `${target}/rebuilt`;
  await Deno.mkdir(folder, { recursive: true });
  for (const [file, bytes] of built) await Deno.writeFile(`${folder}/${file}`, bytes);
  const root = `${sources}/..`;
  const tests = `${root}/tests/programs`;
  // The one test left out is that the committed files have the recorded hashes.
  await test([`--ignore=${tests}/checksums_test.ts`, tests], root, signal, {
    PSYCHE_PROGRAMS_FOLDER: folder,
    PSYCHE_FUZZ_CASES: FUZZ_CASES,
  });
  // The kernels are read from beside their callers, so the trainer is tested as a copy.
  const copy = await Deno.makeTempDir({ dir: sources, prefix: ".rebuilt-" });
  try {
    await cp(`${root}/lib`, `${copy}/lib`, { recursive: true });
    await cp(`${folder}/kernels.wasm`, `${copy}/lib/trainer/kernels/kernels.wasm`);
    const parts = ["kernels", "distro"].map((part) => `${copy}/lib/trainer/${part}`);
    await test(["--config", `${root}/deno.json`, ...parts], root, signal);
  } finally {
    await Deno.remove(copy, { recursive: true });
  }
}

async function test(
  args: string[],
  cwd: string,
  signal: AbortSignal,
  env?: Record<string, string>,
): Promise<void> {
  signal.throwIfAborted();
  const child = new Deno.Command(Deno.execPath(), {
    args: ["test", "--allow-all", ...args],
    env,
    cwd,
    stdout: "piped",
    stderr: "inherit",
    signal,
  }).spawn();
  const { success } = await statusWithTalk(child);
  if (success) return;
  // What the interruption ended has not failed.
  signal.throwIfAborted();
  throw new PsycheError(
    "PROGRAMS_MISBEHAVE",
    "The programs or kernels of this build fail the tests above; build with the recorded tool " +
      "versions, or correct the sources.",
  );
}
