/**
 * Builds the on-chain programs from source: `--help` says how.
 */
import { fileURLToPath } from "node:url";
import { PsycheError } from "../lib/error.ts";
import {
  type BuildFolders,
  buildPrograms,
  type BuiltPrograms,
  type Checksums,
  checksumsOf,
  installToolchain,
} from "../programs/build.ts";
import { compareBuild, testBuild } from "../programs/check_build.ts";

const HELP = `Builds the on-chain programs and replaces programs/*.so and programs/checksums.json.

  deno run -A scripts/build-programs.ts [--check] [--install]

  --check    build and compare with the committed programs, write nothing; where other tools
             than the recorded ones give other bytes, test what the built programs do instead
  --install  install the Debian packages of the build first (needs root)`;

const FLAGS = ["--check", "--install", "--help"];
const PROGRAMS = fileURLToPath(new URL("../programs", import.meta.url));
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

  const folders = { sources: PROGRAMS, target: `${PROGRAMS}/target` };
  const built = await buildPrograms(folders, signal);
  const checksums = await checksumsOf(built, signal);
  for (const [name, bytes] of built) {
    console.log(`${checksums.sha256[`${name}.so`]}  ${name}.so  ${bytes.length} bytes`);
  }
  if (flags.includes("--check")) return await check(folders, built, checksums, signal);
  for (const [name, bytes] of built) await replace(`${PROGRAMS}/${name}.so`, bytes);
  await replace(CHECKSUMS, new TextEncoder().encode(JSON.stringify(checksums, null, 2) + "\n"));
}

async function check(
  folders: BuildFolders,
  built: BuiltPrograms,
  found: Checksums,
  signal: AbortSignal,
): Promise<void> {
  const recorded = JSON.parse(await Deno.readTextFile(CHECKSUMS)) as Checksums;
  const { different, otherTools } = await compareBuild(folders, built, recorded, found);
  if (different.length === 0) return console.log("the committed programs, byte by byte");
  for (const tool of otherTools) console.log(`another version of ${tool}`);
  if (otherTools.length > 0) {
    console.log(`${different.join(", ")}: other bytes, as other tools make; testing what they do`);
    await testBuild(folders, built, signal);
    return console.log("other bytes than the committed ones, and all tests of the programs pass");
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
