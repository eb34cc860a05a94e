/**
 * The compiled loops over all weights of a model: sources in `src/`, built by
 * `deno task build-programs`. Addresses and lengths are not checked on the other side: they must be
 * those of arrays taken from a `KernelMemory`.
 */

/** What the module exports. Arrays are addresses in bytes; lengths are elements. */
export interface Kernels {
  look_ahead(
    out: number,
    weights: number,
    residual: number,
    length: number,
    rate: number,
  ): void;
  decay_and_add(
    residual: number,
    gradient: number,
    length: number,
    decay: number,
    rate: number,
  ): void;
  scale(data: number, length: number, factor: number): void;
  add(sum: number, data: number, length: number): void;
  sum_of_squares(data: number, length: number): number;
  adamw(
    weights: number,
    gradient: number,
    first: number,
    second: number,
    length: number,
    beta1: number,
    beta2: number,
    rate: number,
    correction: number,
    eps: number,
    keep: number,
    clip: number,
  ): void;
  fingerprint(state: number, data: number, length: number): void;
  workspace_bytes(h: number, w: number, k: number): number;
  prepare_workspace(at: number, h: number, w: number, k: number): void;
  gather(space: number, indices: number, values: number, count: number): void;
  apply_block(space: number, weights: number, cols: number, step: number): void;
  subtract_block(space: number, residual: number, cols: number, factor: number): void;
  compress_block(
    space: number,
    data: number,
    cols: number,
    scale: number,
    indices: number,
    values: number,
  ): number;
  /** Where the stack of this instance begins; it grows downwards. */
  __stack_pointer: WebAssembly.Global;
}

let compiled: WebAssembly.Module | undefined;

/** A further instance of the module. Two that run at once need stacks of their own. */
export function instantiateKernels(memory: WebAssembly.Memory): Kernels {
  // Read once, when first needed: most of the toolkit never is.
  compiled ??= new WebAssembly.Module(Deno.readFileSync(new URL("kernels.wasm", import.meta.url)));
  const { exports } = new WebAssembly.Instance(compiled, { env: { memory } });
  return exports as unknown as Kernels;
}
