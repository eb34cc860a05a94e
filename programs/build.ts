/**
 * Builds the on-chain programs with the distribution's own Rust and LLVM packages; see README.md.
 *
 * cargo makes one bitcode file a program, llc turns it into a BPF object, and `sbpf_linker.ts` into
 * the file that is deployed. The same sources and packages give the same bytes.
 */
import { createHash } from "node:crypto";
import { PsycheError } from "../lib/error.ts";
import { linkSbpf } from "./sbpf_linker.ts";

/** Every program, by the name of its crate and file. */
export const PROGRAMS = ["authorizer", "coordinator", "treasurer", "placeholder"] as const;

/** Packages of Debian 12 (security updates) that hold the tools. */
export const TOOLCHAIN_PACKAGES = [
  ...["rustc-web", "cargo-web", "rust-web-src", "llvm-22", "lld-22"] as const,
];

// By their full path: another Rust, without the library sources, may stand first in PATH.
const CARGO = "/usr/bin/cargo";
const RUSTC = "/usr/bin/rustc";
export const LLVM = "/usr/lib/llvm-22/bin/";
const TARGET = "bpfel-unknown-none";

/** What `checksums.json` records. */
export interface Checksums {
  /** What each tool says its version is, and the versions of the Debian packages. */
  toolchain: Record<string, string>;
  /** SHA-256 of each built file, in hexadecimal. */
  sha256: Record<string, string>;
}

/** Where sources are read and built files go. */
export interface BuildFolders {
  /** The folder with the programs' `Cargo.toml`. */
  sources: string;
  /** The folder with the kernels' `Cargo.toml`. */
  kernels: string;
  /** Cargo's target folder. */
  target: string;
}

/** Bytes by the name of the file. */
export type BuiltFiles = Map<string, Uint8Array>;

/** Where a built file is committed. */
export function committedPath({ sources, kernels }: BuildFolders, file: string): string {
  return `${file.endsWith(".so") ? sources : kernels}/${file}`;
}

/**
 * Builds all programs and returns their files; writes only below `folders.target`.
 *
 * @throws PsycheError `TOOLCHAIN_MISSING`, `PROGRAM_BUILD_FAILED`, `PROGRAM_LINK_FAILED`.
 */
export async function buildPrograms(
  folders: BuildFolders,
  signal: AbortSignal,
): Promise<BuiltFiles> {
  const { sources, target } = folders;
  await cargoBuild({
    folder: sources,
    target,
    triple: TARGET,
    args: PROGRAMS.flatMap((name) => ["-p", `psyche-${name}`]),
    // SBPF v0 is instruction set v2.
    flags: ["-Ctarget-cpu=v2"],
    env: { CARGO_TARGET_BPFEL_UNKNOWN_NONE_LINKER: `${sources}/collect_object.sh` },
  }, signal);
  const built: BuiltFiles = new Map();
  for (const name of PROGRAMS) {
    const stem = `${target}/${TARGET}/release/libpsyche_${name}`;
    built.set(`${name}.so`, linkSbpf(await compile(stem, signal)));
  }
  return built;
}

/**
 * Runs cargo for a target without a standard library, whose core is built from source. The same sources
 * and packages give the same bytes, in any folder.
 *
 * @throws PsycheError `TOOLCHAIN_MISSING`, `PROGRAM_BUILD_FAILED`
 */
export async function cargoBuild(
  { folder, target, triple, args = [], flags, env }: {
    /** With `Cargo.toml`. */
    folder: string;
    /** Cargo's target folder, the only place that is written to. */
    target: string;
    triple: string;
    args?: string[];
    /** Of the compiler. */
    flags: string[];
    env?: Record<string, string>;
  },
  signal: AbortSignal,
): Promise<void> {
  const fixed = ["build", "--locked", "--release", `--target=${triple}`, "-Zbuild-std=core"];
  await run(CARGO, [...fixed, ...args], {
    signal,
    cwd: folder,
    env: {
      RUSTC,
      CARGO_TARGET_DIR: target,
      // Building the library needs unstable flags.
      RUSTC_BOOTSTRAP: "1",
      // No source locations: they would put this machine's paths into what is built.
      CARGO_ENCODED_RUSTFLAGS: ["-Zlocation-detail=none", ...flags].join("\x1f"),
      ...env,
    },
  });
}

/** Bitcode to a BPF object. */
async function compile(stem: string, signal: AbortSignal): Promise<Uint8Array> {
  await run(`${LLVM}llvm-dis`, [`${stem}.so`, "-o", `${stem}.ll`], { signal });
  // A result returned through memory is an ordinary pointer here; the back end refuses the marker.
  const assembly = await Deno.readTextFile(`${stem}.ll`);
  await Deno.writeTextFile(`${stem}.ll`, assembly.replaceAll(/ sret\([^)]*\)/g, ""));
  await run(`${LLVM}llc`, [
    "-march=bpfel",
    "-mcpu=v2",
    "-mattr=+allows-misaligned-mem-access",
    "-bpf-stack-size=4096",
    "-filetype=obj",
    "-O3",
    `${stem}.ll`,
    "-o",
    `${stem}.o`,
  ], { signal });
  return await Deno.readFile(`${stem}.o`);
}

/** The versions of the tools and the hashes of built files. */
export async function checksumsOf(built: BuiltFiles, signal: AbortSignal): Promise<Checksums> {
  const version = async (program: string, pattern: RegExp) =>
    (await run(program, ["--version"], { signal })).match(pattern)?.[0].trim() ?? "unknown";
  return {
    toolchain: {
      rustc: await version(RUSTC, /^rustc \S+ \([^)]*\)/),
      cargo: await version(CARGO, /^cargo \S+/),
      llc: await version(`${LLVM}llc`, /LLVM version \S+/),
      ...await packageVersions(signal),
    },
    sha256: Object.fromEntries(
      [...built].map(([file, bytes]) => [file, createHash("sha256").update(bytes).digest("hex")]),
    ),
  };
}

/** Versions of the Debian packages; none where the tools come from somewhere else. */
async function packageVersions(signal: AbortSignal): Promise<Record<string, string>> {
  try {
    const format = "-f=${Package} ${Version}\n";
    const lines = await run("dpkg-query", ["-W", format, ...TOOLCHAIN_PACKAGES], { signal });
    return Object.fromEntries(lines.trim().split("\n").map((line) => line.split(" ")));
  } catch (error) {
    if (error instanceof PsycheError) return {};
    throw error;
  }
}

/** Installs the tools; needs root. @throws PsycheError `TOOLCHAIN_MISSING`. */
export async function installToolchain(signal: AbortSignal): Promise<void> {
  const options = { signal, env: { DEBIAN_FRONTEND: "noninteractive" } };
  await run("apt-get", ["update"], options);
  const packages = [...TOOLCHAIN_PACKAGES];
  await run("apt-get", ["install", "-y", "--no-install-recommends", ...packages], options);
}

/**
 * Runs a tool and returns what it prints.
 *
 * @throws PsycheError `TOOLCHAIN_MISSING`, `PROGRAM_BUILD_FAILED`; the signal's reason
 */
export async function run(
  program: string,
  args: string[],
  options: { signal: AbortSignal; cwd?: string; env?: Record<string, string> },
): Promise<string> {
  options.signal.throwIfAborted();
  let output;
  try {
    output = await new Deno.Command(program, { args, ...options }).output();
  } catch (cause) {
    if (!(cause instanceof Deno.errors.NotFound)) throw cause;
    throw new PsycheError(
      "TOOLCHAIN_MISSING",
      `${program} is not installed; install the Debian packages ${TOOLCHAIN_PACKAGES.join(", ")}.`,
      { cause },
    );
  }
  if (!output.success) {
    // What the interruption ended has not failed.
    options.signal.throwIfAborted();
    throw new PsycheError(
      "PROGRAM_BUILD_FAILED",
      `${program} ended with code ${output.code}; correct what it reports:\n` +
        new TextDecoder().decode(output.stderr).trim(),
    );
  }
  return new TextDecoder().decode(output.stdout);
}
