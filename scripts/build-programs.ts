/**
 * Builds the on-chain programs and the trainer's kernels from source: `--help` says how.
 */
import { fileURLToPath } from "node:url";
import { PsycheError } from "../lib/error.ts";
import {
  type BuildFolders,
  buildPrograms,
  type BuiltFiles,
  type Checksums,
  checksumsOf,
  committedPath,
  installToolchain,
} from "../programs/build.ts";
import { buildKernels } from "../programs/build_kernels.ts";
import { compareBuild, testBuild } from "../programs/check_build.ts";

const HELP =
  `Builds the on-chain programs and the trainer's WebAssembly kernels, and replaces programs/*.so,
lib/trainer/kernels/kernels.wasm and programs/checksums.json.

  deno run -A scripts/build-programs.ts [--check] [--install]

  --check    build and compare with the committed files, write nothing; where other tools
             than the recorded ones give other bytes, test what the built files do instead
  --install  install the Debian packages of the build first (needs root)`;

const FLAGS = ["--check", "--install", "--help"];
const PROGRAMS = fileURLToPath(new URL("../programs", import.meta.url));
const KERNELS = fileURLToPath(new URL("../lib/trainer/kernels", import.meta.url));
const CHECKSUMS = `${PROGRAMS}/checksums.json`;

async function replace(path: string, content: Uint8Array): Promise<void> {
  await Deno.writeFile(`${path}.new`, content);
  await Deno.rename(`${path}.new`, path);
}

async function main(flags: string[], signal: AbortSignal): Promise<void> {
  const unknown = flags.find((flag) => !FLAGS.includes(flag));
  if (unknown) {
    const message = `Unknown flag ${unknown}; use ${FLAGS.join(", ")}.`;
    throw new PsycheError("UNKNOWN_FLAG", message, { exitCode: 2 });
  }
  if (flags.includes("--help")) return console.log(HELP);
  if (flags.includes("--install")) await installToolchain(signal);

  const target = `${PROGRAMS}/target`;
  const folders = { sources: PROGRAMS, kernels: KERNELS, target };
  const built = await buildPrograms(folders, signal);
  built.set("kernels.wasm", await buildKernels({ folder: KERNELS, target }, signal));
  const checksums = await checksumsOf(built, signal);
  for (const [file, bytes] of built) {
    console.log(`${checksums.sha256[file]}  ${file}  ${bytes.length} bytes`);
  }
  if (flags.includes("--check")) return await check(folders, built, checksums, signal);
  for (const [file, bytes] of built) await replace(committedPath(folders, file), bytes);
  await replace(CHECKSUMS, new TextEncoder().encode(JSON.stringify(checksums, null, 2) + "\n"));
}

async function check(
  folders: BuildFolders,
  built: BuiltFiles,
  found: Checksums,
  signal: AbortSignal,
): Promise<void> {
  const recorded = JSON.parse(await Deno.readTextFile(CHECKSUMS)) as Checksums;
  const { different, otherTools } = await compareBuild(folders, built, recorded, found);
  if (different.length === 0) return console.log("the committed files, byte by byte");
  for (const tool of otherTools) console.log(`another version of ${tool}`);
  if (otherTools.length > 0) {
    console.log(`${different.join(", ")}: other bytes, as other tools make; testing what they do`);
    await testBuild(folders, built, signal);
    return console.log("other bytes than the committed ones, and all their tests pass");
  }
  throw new PsycheError(
    "PROGRAMS_DIFFER",
    `The recorded tools make other bytes than the committed ones of ${different.join(", ")}; ` +
      "build without --check and commit the new files.",
  );
}

try {
  const interrupt = new AbortController();
  Deno.addSignalListener("SIGINT", () => interrupt.abort());
  await main(Deno.args, interrupt.signal);
  Deno.exit(0);
} catch (error) {
  if (!(error instanceof PsycheError)) throw error;
  console.error(`${error.message} [${error.code}]`);
  Deno.exit(error.exitCode);
}
