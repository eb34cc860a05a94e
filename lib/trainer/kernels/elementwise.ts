/**
 * Loops over whole arrays. The arrays lie where they are and pass through a small kernel memory piece
 * by piece: the pieces stay in the processor's cache, so this costs little more than the loop itself,
 * and arrays may be of any length and owner.
 */
import { KernelMemory } from "./kernel_memory.ts";
import type { Kernels } from "./kernels.ts";

/** Elements of a piece; a multiple of 16, which the fingerprint needs. */
const PIECE = 8192;
/** Arrays of the loop that takes most. */
const MOST_ARRAYS = 2;

class Stage {
  readonly #kernels: Kernels;
  readonly #pieces: Float32Array<ArrayBuffer>[];

  constructor() {
    const memory = new KernelMemory(MOST_ARRAYS * PIECE * 4);
    this.#kernels = memory.kernels;
    this.#pieces = Array.from(
      { length: MOST_ARRAYS },
      () => memory.take(Float32Array<ArrayBuffer>, PIECE),
    );
  }

  /**
   * Calls `kernel` for each piece with the addresses of all arrays. The first `outputs` arrays are
   * copied back.
   */
  run(
    arrays: readonly Float32Array[],
    outputs: number,
    kernel: (kernels: Kernels, addresses: number[], length: number) => void,
  ): void {
    const total = arrays[0].length;
    const addresses = arrays.map((_, a) => this.#pieces[a].byteOffset);
    for (let at = 0; at < total; at += PIECE) {
      const length = Math.min(PIECE, total - at);
      for (let a = 0; a < arrays.length; a++) {
        this.#pieces[a].set(arrays[a].subarray(at, at + length));
      }
      kernel(this.#kernels, addresses, length);
      for (let a = 0; a < outputs; a++) {
        const piece = this.#pieces[a];
        arrays[a].set(length === PIECE ? piece : piece.subarray(0, length), at);
      }
    }
  }
}

let stage: Stage | undefined;

/** One for each thread, made when first needed. */
function theStage(): Stage {
  return stage ??= new Stage();
}

/** `data *= factor` in fp32. */
export function scale(data: Float32Array, factor: number): void {
  theStage().run([data], 1, (kernels, [d], length) => kernels.scale(d, length, factor));
}

/** `sum += data` in fp32. */
export function addInto(sum: Float32Array, data: Float32Array): void {
  theStage().run([sum, data], 1, (kernels, [s, d], length) => kernels.add(s, d, length));
}

/** Sum of squares in float64; NaN or infinite just when an element is. */
export function sumOfSquares(data: Float32Array): number {
  let sum = 0;
  theStage().run([data], 0, (kernels, [d], length) => sum += kernels.sum_of_squares(d, length));
  return sum;
}
