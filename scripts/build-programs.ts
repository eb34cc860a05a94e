/**
 * Builds the on-chain programs from source: `--help` says how.
 */
import { fileURLToPath } from "node:url";
import { PsycheError } from "../lib/error.ts";
import { buildPrograms, type Checksums, checksumsOf, installToolchain } from "../programs/build.ts";

const HELP = `Builds the on-chain programs and replaces programs/*.so and programs/checksums.json.

  deno run -A scripts/build-programs.ts [--check] [--install]

  --check    build, write nothing, fail when a program differs from programs/checksums.json
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
  if (flags.includes("--check")) {
    return check(JSON.parse(await Deno.readTextFile(CHECKSUMS)), checksums);
  }
  for (const [name, bytes] of built) await replace(`${PROGRAMS}/${name}.so`, bytes);
  await replace(CHECKSUMS, new TextEncoder().encode(JSON.stringify(checksums, null, 2) + "\n"));
}

function check(expected: Checksums, found: Checksums): void {
  for (const [tool, version] of Object.entries(found.toolchain)) {
    const recorded = expected.toolchain[tool];
    if (version !== recorded) console.log(`note: ${version}, recorded was ${recorded}`);
  }
  const different = Object.keys(found.sha256).filter((file) =>
    found.sha256[file] !== expected.sha256[file]
  );
  if (different.length === 0) return console.log("as recorded");
  throw new PsycheError(
    "PROGRAMS_DIFFER",
    `The build gives other bytes than recorded for ${different.join(", ")}; ` +
      "compare the tool versions, or build without --check and commit the new files.",
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
