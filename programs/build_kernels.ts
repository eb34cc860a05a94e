/**
 * Builds the trainer's WebAssembly kernels (lib/trainer/kernels) with the same packages as the programs,
 * and a linker.
 */
import { cargoBuild, LLVM } from "./build.ts";

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
  await cargoBuild({
    folder,
    target,
    triple: TARGET,
    flags: [
      "-Ctarget-feature=+simd128,+bulk-memory,+atomics",
      `-Clinker=${LLVM}wasm-ld`,
      // All threads work on one memory, of a fixed size that is put in when the module is loaded.
      link("--import-memory"),
      link("--shared-memory"),
      link(`--initial-memory=${2 ** 32}`),
      link(`--max-memory=${2 ** 32}`),
      // Each thread gets a stack of its own.
      link("--export=__stack_pointer"),
      link(`-zstack-size=${STACK}`),
      link("--strip-all"),
    ],
  }, signal);
  return await Deno.readFile(`${target}/${TARGET}/release/psyche_kernels.wasm`);
}
