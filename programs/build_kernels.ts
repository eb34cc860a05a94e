/**
 * Builds the trainer's WebAssembly kernels (lib/trainer/kernels) with the same packages as the programs,
 * and a linker. The same sources and packages give the same bytes, in any folder.
 */
import { CARGO, LLVM, run, RUSTC } from "./build.ts";

const TARGET = "wasm32v1-none";
/** Bytes of the stack; the kernels need a few hundred. */
const STACK = 65_536;

/**
 * @param folder with `Cargo.toml`
 * @param target cargo's target folder, the only place that is written to
 * @throws PsycheError `TOOLCHAIN_MISSING`, `PROGRAM_BUILD_FAILED`
 */
export async function buildKernels(
  { folder, target }: { folder: string; target: string },
  signal: AbortSignal,
): Promise<Uint8Array> {
  const link = (flag: string) => `-Clink-arg=${flag}`;
  await run(CARGO, [
    "build",
    "--locked",
    "--release",
    `--target=${TARGET}`,
    "-Zbuild-std=core",
  ], {
    signal,
    cwd: folder,
    env: {
      RUSTC,
      CARGO_TARGET_DIR: target,
      // The library is built from source: this needs an unstable flag.
      RUSTC_BOOTSTRAP: "1",
      CARGO_ENCODED_RUSTFLAGS: [
        "-Ctarget-feature=+simd128,+bulk-memory",
        // No source locations: they would put this machine's paths into the module.
        "-Zlocation-detail=none",
        `-Clinker=${LLVM}wasm-ld`,
        link("--import-memory"),
        link(`-zstack-size=${STACK}`),
        link("--strip-all"),
      ].join("\x1f"),
    },
  });
  return await Deno.readFile(`${target}/${TARGET}/release/psyche_kernels.wasm`);
}
