/** Builds the on-chain programs and the trainer's kernels from source; programs/README.md. */
import { fileURLToPath } from "node:url";
import { defineCommand } from "../lib/cli/command.ts";
import { toggle } from "../lib/cli/flag.ts";
import type { Output } from "../lib/cli/output.ts";
import { runCommand } from "../lib/cli/run_command.ts";
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

const PROGRAMS = fileURLToPath(new URL("../programs", import.meta.url));
const KERNELS = fileURLToPath(new URL("../lib/trainer/kernels", import.meta.url));
const CHECKSUMS = `${PROGRAMS}/checksums.json`;

async function replace(path: string, content: Uint8Array): Promise<void> {
  await Deno.writeFile(`${path}.new`, content);
  await Deno.rename(`${path}.new`, path);
}

/** In words, how the files compare with the committed ones. */
async function check(
  folders: BuildFolders,
  built: BuiltFiles,
  found: Checksums,
  { output, signal }: { output: Output; signal: AbortSignal },
): Promise<string> {
  const recorded = JSON.parse(await Deno.readTextFile(CHECKSUMS)) as Checksums;
  const { different, otherTools } = await compareBuild(folders, built, recorded, found);
  if (different.length === 0) return "the committed files, byte by byte";
  const files = different.join(", ");
  for (const tool of otherTools) output.say(`another version of ${tool}`);
  if (otherTools.length > 0) {
    output.say(`${files}: other bytes, as other tools make; testing what they do`);
    await testBuild(folders, built, signal);
    return "other bytes than the committed ones, and all their tests pass";
  }
  throw new PsycheError(
    "PROGRAMS_DIFFER",
    `The recorded tools make other bytes than the committed ones of ${files}; ` +
      "build without --check and commit the new files.",
  );
}

await runCommand(defineCommand({
  name: "build-programs",
  summary: "Builds the on-chain programs and the trainer's WebAssembly kernels, and replaces " +
    "programs/*.so, lib/trainer/kernels/kernels.wasm and programs/checksums.json.",
  examples: [
    ["deno task build-programs", "replace the committed files"],
    [
      "deno task build-programs --check",
      "compare with them, write nothing; where other tools " +
      "than the recorded ones give other bytes, test what the built files do instead",
    ],
  ],
  flags: {
    check: toggle({ summary: "compare with the committed files instead", environment: [] }),
    install: toggle({ summary: "first the build's Debian packages, as root", environment: [] }),
  },
  async run(command) {
    const { settings, output, signal } = command;
    if (settings.install) await installToolchain(signal);
    const target = `${PROGRAMS}/target`;
    const folders = { sources: PROGRAMS, kernels: KERNELS, target };
    const built = await buildPrograms(folders, signal);
    built.set("kernels.wasm", await buildKernels({ folder: KERNELS, target }, signal));
    const checksums = await checksumsOf(built, signal);
    const lines = [...built].map(([file, bytes]) =>
      `${checksums.sha256[file]}  ${file}  ${bytes.length} bytes`
    );
    if (settings.check) lines.push(await check(folders, built, checksums, command));
    else {
      for (const [file, bytes] of built) await replace(committedPath(folders, file), bytes);
      await replace(CHECKSUMS, new TextEncoder().encode(JSON.stringify(checksums, null, 2) + "\n"));
    }
    output.result(checksums, lines);
  },
}));
