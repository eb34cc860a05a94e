/**
 * The compiled loops over all weights of a model: sources in `src/`, built by
 * `deno task build-programs`. Addresses and lengths are not checked on the other side: they must be
 * those of arrays taken from a `KernelMemory`.
 */
import { Buffer } from "node:buffer";
import { PAGE } from "./kernel_memory.ts";

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
  blend(sum: number, data: number, length: number, keep: number, share: number): void;
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

/** Before the least and the most pages of the memory in the module's import, both in three bytes. */
const PAGES_AFTER = "\x06memory\x02\x03";

let bytes: Uint8Array<ArrayBuffer> | undefined;
/** By the pages of the memory. */
const modules = new Map<number, WebAssembly.Module>();

/**
 * A further instance of the module. Two that run at once need stacks of their own.
 *
 * @param memory that cannot grow: so its size is known to compiled code, which without a fixed size asks
 * for it at every access and takes a fifth longer
 */
export function instantiateKernels(memory: WebAssembly.Memory): Kernels {
  const pages = memory.buffer.byteLength / PAGE;
  let module = modules.get(pages);
  if (module === undefined) {
    // Read once, when first needed: most of the toolkit never is.
    bytes ??= Deno.readFileSync(new URL("kernels.wasm", import.meta.url));
    const at = Buffer.from(bytes.buffer).indexOf(PAGES_AFTER, "latin1") + PAGES_AFTER.length;
    const size = [pages & 127 | 128, pages >> 7 & 127 | 128, pages >> 14];
    bytes.set([...size, ...size], at);
    modules.set(pages, module = new WebAssembly.Module(bytes));
  }
  const { exports } = new WebAssembly.Instance(module, { env: { memory } });
  return exports as unknown as Kernels;
}
