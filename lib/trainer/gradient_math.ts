/** Sums over all parameters' gradients. */
import { PsycheError } from "../error.ts";
import { elementwise, sumsOfSquares } from "./kernels/elementwise.ts";
import { type KernelThreads, soleThread } from "./kernels/kernel_threads.ts";

/** Gradients by parameter name, fp32. */
export type Gradients = Map<string, Float32Array<ArrayBuffer>>;

/** What `make` makes of gradients, once for each map of them: threads are told of arrays only once. */
export function perGradients<T>(make: (gradients: Gradients) => T): (gradients: Gradients) => T {
  const made = new WeakMap<Gradients, { value: T }>();
  return (gradients) => {
    const found = made.get(gradients) ?? { value: make(gradients) };
    made.set(gradients, found);
    return found.value;
  };
}

/** Arithmetic on gradients by some threads; arrays of a map must stay the same. */
export class GradientMath {
  readonly #adders;
  readonly #blenders;
  readonly #scalers;
  readonly #sums;

  constructor(threads: KernelThreads = soleThread()) {
    const pairwise = (kernel: "add" | "blend") =>
      perGradients((sum) =>
        perGradients((gradients) => {
          const pairs = [...sum].map(([name, target]) => [target, gradients.get(name)!]);
          return elementwise(kernel, pairs, threads);
        })
      );
    this.#adders = pairwise("add");
    this.#blenders = pairwise("blend");
    this.#scalers = perGradients((gradients) =>
      elementwise("scale", [...gradients.values()].map((data) => [data]), threads)
    );
    this.#sums = perGradients((gradients) => sumsOfSquares([...gradients.values()], threads));
  }

  /** `sum += gradients`, element by element. */
  add(sum: Gradients, gradients: Gradients): void {
    this.#adders(sum)(gradients)();
  }

  /** `sum = keep * sum + share * gradients`, element by element. */
  blend(sum: Gradients, gradients: Gradients, keep: number, share: number): void {
    this.#blenders(sum)(gradients)([keep, share]);
  }

  scale(gradients: Gradients, factor: number): void {
    this.#scalers(gradients)([factor]);
  }

  /**
   * Euclidean norm over all gradients, accumulated in float64 in an order that no number of threads
   * changes.
   *
   * @throws PsycheError `GRADIENT_NOT_FINITE` naming the parameter that holds a NaN or infinity.
   */
  norm(gradients: Gradients): number {
    const sums = this.#sums(gradients)();
    const broken = sums.findIndex((sum) => !Number.isFinite(sum));
    if (broken >= 0) {
      throw new PsycheError(
        "GRADIENT_NOT_FINITE",
        `The gradient of ${
          [...gradients.keys()][broken]
        } is not finite, so the batch is refused; ` +
          "lower the learning rate, set clip_grad_norm or check the data.",
      );
    }
    return Math.sqrt(sums.reduce((a, b) => a + b, 0));
  }
}

/**
 * Factor that shrinks gradients of norm `norm` to `max` (docs/protocol/training-math.md section 2,
 * Clipping); 1 when they are not longer, or `max` is null or 0.
 */
export function clipFactor(norm: number, max: number | null): number {
  return max !== null && max > 0 && norm > max ? max / (norm + 1e-6) : 1;
}
