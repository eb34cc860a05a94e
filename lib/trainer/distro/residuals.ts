/**
 * DisTrO's residuals: look-ahead, steps and compression (docs/protocol/training-math.md sections 3.1 and
 * 3.2, steps A, C, E, F and G).
 */
import { PsycheError } from "../../error.ts";
import { elementwise } from "../kernels/elementwise.ts";
import { operand } from "../kernels/kernel_space.ts";
import { type KernelThreads, soleThread } from "../kernels/kernel_threads.ts";
import { emptyEntries, type Entries } from "./entries.ts";
import type { DistroLayout } from "./layout.ts";

/** A parameter with what belongs to it, all fp32 and as long as it is. */
export interface ResidualParameter {
  name: string;
  layout: DistroLayout;
  weights: Float32Array;
  /** Zeros at first. */
  residual: Float32Array;
  /** Gets the weights at which gradients are to be taken. */
  ahead: Float32Array;
}

/** One step of all parameters. */
export interface ResidualStep {
  /** In the order of the parameters; the same list for the same arrays saves preparing for them again. */
  gradients: readonly Float32Array[];
  /** What was sent in the round before, subtracted first; may be empty. */
  previous: readonly Entries[];
  /** `compression_decay`. */
  decay: number;
  /** Factor of the gradient: the learning rate, times what clipping leaves. */
  rate: number;
}

export class Residuals {
  readonly #parameters: readonly ResidualParameter[];
  readonly #threads: KernelThreads;
  readonly #lookAhead: (numbers: readonly number[]) => void;
  readonly #broken: Uint8Array<SharedArrayBuffer>;
  /** Results that were handed out, and those that came back. */
  readonly #slots: Entries[] = [];
  readonly #free = new Set<number>();
  /** By the list of gradients. */
  #steps = new WeakMap<readonly Float32Array[], (numbers: readonly number[]) => void>();

  constructor(
    parameters: readonly ResidualParameter[],
    threads: KernelThreads = soleThread(),
  ) {
    this.#parameters = parameters;
    this.#threads = threads;
    this.#broken = new Uint8Array(new SharedArrayBuffer(parameters.length));
    const arrays = parameters.map(({ ahead, weights, residual }) => [ahead, weights, residual]);
    arrays.forEach((own, p) => this.#checkLengths(own, p));
    this.#lookAhead = elementwise("lookAhead", arrays, threads);
  }

  reset(): void {
    for (const { residual } of this.#parameters) residual.fill(0);
  }

  /** `ahead = weights - rate * sign(residual)` in fp32 for every parameter; sign(0) is 0. */
  lookAhead(rate: number): void {
    this.#lookAhead([rate]);
  }

  /**
   * `residual = (residual - decode(mean of previous)) * decay + rate * gradient`, in fp32; then keeps
   * the `k` entries of largest magnitude of every transformed block, by descending magnitude, the lower
   * index first among equals.
   *
   * @returns entries to be given back by {@linkcode release}
   * @throws PsycheError `DISTRO_INPUT_INVALID` for gradients of a wrong size, `DISTRO_NOT_FINITE` when
   * a kept entry is NaN or infinite; the residuals have changed then
   */
  step({ gradients, previous, decay, rate }: ResidualStep): Entries {
    gradients.forEach((gradient, p) => this.#checkLengths([gradient], p));
    if (this.#free.size === 0) this.#grow();
    const [kept] = this.#free;
    const sent = previous.map((entries) => this.#slots.indexOf(entries));
    this.#broken.fill(0);
    this.#prepared(gradients)([decay, rate, kept, ...sent]);
    const first = this.#broken.indexOf(1);
    if (first < 0) {
      this.#free.delete(kept);
      return this.#slots[kept];
    }
    throw new PsycheError(
      "DISTRO_NOT_FINITE",
      `The residual of ${this.#parameters[first].name} is not finite; ` +
        "discard this batch and lower the learning rate.",
    );
  }

  /** Takes back entries that nobody needs any more. */
  release(entries: Entries): void {
    this.#free.add(this.#slots.indexOf(entries));
  }

  #prepared(gradients: readonly Float32Array[]): (numbers: readonly number[]) => void {
    const found = this.#steps.get(gradients);
    if (found !== undefined) return found;
    const parameters = this.#parameters.map(({ layout, residual }, p) => ({
      layout,
      residual: operand(residual),
      gradient: operand(gradients[p]),
    }));
    const operands = parameters.flatMap(({ residual, gradient }) => [residual, gradient]);
    const task = { parameters, slots: [...this.#slots], broken: this.#broken };
    const step = this.#threads.loop("stepBands", task, operands);
    this.#steps.set(gradients, step);
    return step;
  }

  /** Twice the slots, of which threads have to be told. */
  #grow(): void {
    const layouts = this.#parameters.map(({ layout }) => layout);
    for (let more = Math.max(4, this.#slots.length); more > 0; more--) {
      this.#free.add(this.#slots.push(emptyEntries(layouts)) - 1);
    }
    this.#steps = new WeakMap();
  }

  #checkLengths(arrays: readonly Float32Array[], p: number): void {
    const { name, layout } = this.#parameters[p];
    const wanted = layout.blocks * layout.totalk;
    const wrong = arrays.find(({ length }) => length !== wanted);
    if (wrong === undefined) return;
    throw new PsycheError(
      "DISTRO_INPUT_INVALID",
      `An array for ${name} has ${wrong.length} elements, ${wanted} are needed; ` +
        "pass the parameter this layout was made for.",
    );
  }
}
