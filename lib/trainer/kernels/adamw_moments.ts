/**
 * AdamW's two moments. They live in kernel memories, because nothing else looks at them; weights and
 * gradients pass by in pieces that stay in the cache.
 */
import { KernelMemory } from "./kernel_memory.ts";

/** The numbers of one step; see `adamw` in `src/elementwise.rs`. */
export interface AdamWStep {
  beta1: number;
  beta2: number;
  /** Learning rate over the correction of the first moment's bias. */
  rate: number;
  /** `1 / sqrt` of the correction of the second moment's bias. */
  correction: number;
  eps: number;
  /** What weight decay leaves of a weight. */
  keep: number;
  /** Factor of the gradient. */
  clip: number;
}

/** Elements of weights and gradients that pass at once. */
const PIECE = 8192;
/** Most elements in one memory, whose 4 GiB they must not fill; further ones get another memory. */
const BANK = 2 ** 27;

/** A stretch of one array, whose moments lie in one memory. */
interface Stretch {
  array: number;
  from: number;
  first: Float32Array<ArrayBuffer>;
  second: Float32Array<ArrayBuffer>;
}

class Bank {
  readonly stretches: Stretch[];
  readonly #memory: KernelMemory;
  readonly #weights: Float32Array<ArrayBuffer>;
  readonly #gradient: Float32Array<ArrayBuffer>;

  constructor(stretches: readonly { array: number; from: number; length: number }[]) {
    const elements = stretches.reduce((sum, { length }) => sum + length + 4, 0);
    this.#memory = new KernelMemory(8 * elements + 8 * PIECE);
    this.#weights = this.#memory.take(Float32Array<ArrayBuffer>, PIECE);
    this.#gradient = this.#memory.take(Float32Array<ArrayBuffer>, PIECE);
    this.stretches = stretches.map(({ length, ...rest }) => ({
      ...rest,
      first: this.#memory.take(Float32Array<ArrayBuffer>, length),
      second: this.#memory.take(Float32Array<ArrayBuffer>, length),
    }));
  }

  step(
    { first, second, from }: Stretch,
    weights: Float32Array,
    gradient: Float32Array,
    { beta1, beta2, rate, correction, eps, keep, clip }: AdamWStep,
  ): void {
    for (let at = 0; at < first.length; at += PIECE) {
      const length = Math.min(PIECE, first.length - at);
      const begin = from + at;
      this.#weights.set(weights.subarray(begin, begin + length));
      this.#gradient.set(gradient.subarray(begin, begin + length));
      this.#memory.kernels.adamw(
        this.#weights.byteOffset,
        this.#gradient.byteOffset,
        first.byteOffset + 4 * at,
        second.byteOffset + 4 * at,
        length,
        beta1,
        beta2,
        rate,
        correction,
        eps,
        keep,
        clip,
      );
      const changed = length === PIECE ? this.#weights : this.#weights.subarray(0, length);
      weights.set(changed, begin);
    }
  }
}

export class AdamWMoments {
  readonly #banks: Bank[] = [];

  /** Zero moments for arrays of these lengths. */
  constructor(lengths: readonly number[]) {
    let stretches: { array: number; from: number; length: number }[] = [];
    let room = BANK;
    const close = () => {
      if (stretches.length > 0) this.#banks.push(new Bank(stretches));
      stretches = [];
      room = BANK;
    };
    lengths.forEach((total, array) => {
      for (let from = 0; from < total;) {
        const length = Math.min(total - from, room);
        stretches.push({ array, from, length });
        from += length;
        room -= length;
        if (room === 0) close();
      }
    });
    close();
  }

  reset(): void {
    for (const { first, second } of this.#banks.flatMap(({ stretches }) => stretches)) {
      first.fill(0);
      second.fill(0);
    }
  }

  /** Changes all weights, fp32; both lists as long and in the order of the constructor's lengths. */
  step(
    weights: readonly Float32Array[],
    gradients: readonly Float32Array[],
    numbers: AdamWStep,
  ): void {
    for (const bank of this.#banks) {
      for (const stretch of bank.stretches) {
        bank.step(stretch, weights[stretch.array], gradients[stretch.array], numbers);
      }
    }
  }
}
