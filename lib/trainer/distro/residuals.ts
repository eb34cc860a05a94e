/**
 * DisTrO's residuals: look-ahead, steps and compression (docs/protocol/training-math.md sections 3.1 and
 * 3.2, steps A, C, E, F and G). They live in kernel memories, because nothing else looks at them;
 * weights and gradients pass by in pieces that stay in the cache.
 */
import { PsycheError } from "../../error.ts";
import { KernelMemory, roundUp } from "../kernels/kernel_memory.ts";
import { bands, BlockKernels, kernelsKey } from "./block_kernels.ts";
import type { Entries } from "./entries.ts";
import type { DistroLayout } from "./layout.ts";

/** One parameter within a step. */
export interface ResidualStep {
  /** fp32, row-major, as long as the parameter. */
  gradient: Float32Array;
  /** What was sent in the round before, subtracted first; may be empty. */
  previous: readonly Entries[];
  /** `compression_decay`. */
  decay: number;
  /** Factor of the gradient: the learning rate, times what clipping leaves. */
  rate: number;
}

/** Elements of weights that pass at once. */
const PIECE = 8192;
/** Bytes that one memory may hold of 4 GiB; further residuals get another memory. */
const BANK_BYTES = 2 ** 31;

/** One residual and the memory it is in. */
interface Place {
  memory: KernelMemory;
  residual: Float32Array<ArrayBuffer>;
  kernels: BlockKernels;
  weights: Float32Array<ArrayBuffer>;
  ahead: Float32Array<ArrayBuffer>;
}

type NamedLayout = { name: string; layout: DistroLayout };

export class Residuals {
  readonly #parameters: readonly NamedLayout[];
  readonly #places: Place[];

  /**
   * Zero residuals for these parameters.
   *
   * @throws PsycheError `KERNEL_MEMORY_TOO_LARGE` for a parameter of almost 2^30 elements and more
   */
  constructor(parameters: readonly NamedLayout[]) {
    this.#parameters = parameters;
    this.#places = banks(parameters).flatMap(placesInOneMemory);
  }

  /** The residual of parameter `p`, its own memory. */
  data(p: number): Float32Array<ArrayBuffer> {
    return this.#places[p].residual;
  }

  reset(): void {
    for (const { residual } of this.#places) residual.fill(0);
  }

  /**
   * `out = weights - rate * sign(residual)` in fp32; sign(0) is 0.
   *
   * @throws PsycheError `DISTRO_INPUT_INVALID` for arrays of a wrong size
   */
  lookAhead(p: number, out: Float32Array, weights: Float32Array, rate: number): void {
    this.#checkLength(p, out);
    this.#checkLength(p, weights);
    const { memory, residual, ...pieces } = this.#places[p];
    for (let at = 0; at < weights.length; at += PIECE) {
      const length = Math.min(PIECE, weights.length - at);
      pieces.weights.set(weights.subarray(at, at + length));
      memory.kernels.look_ahead(
        pieces.ahead.byteOffset,
        pieces.weights.byteOffset,
        residual.byteOffset + 4 * at,
        length,
        rate,
      );
      out.set(length === PIECE ? pieces.ahead : pieces.ahead.subarray(0, length), at);
    }
  }

  /**
   * `residual = (residual - decode(mean of previous)) * decay + rate * gradient`, in fp32; then keeps
   * the `k` entries of largest magnitude of every transformed block, by descending magnitude, the lower
   * index first among equals.
   *
   * @throws PsycheError `DISTRO_INPUT_INVALID` for a gradient of a wrong size, `DISTRO_NOT_FINITE` when
   * a kept entry is NaN or infinite; the residual has changed then
   */
  step(p: number, { gradient, previous, ...numbers }: ResidualStep): Entries {
    this.#checkLength(p, gradient);
    const { name, layout } = this.#parameters[p];
    const { kernels, residual } = this.#places[p];
    const count = layout.blocks * layout.k;
    const kept = { indices: new Int32Array(count), values: new Float32Array(count) };
    for (const band of bands(layout)) {
      kernels.band.set(gradient.subarray(band.offset, band.offset + kernels.band.length));
      kernels.advance(band, residual, previous, numbers);
      if (kernels.compress(band, residual, kept)) continue;
      throw new PsycheError(
        "DISTRO_NOT_FINITE",
        `The residual of ${name} is not finite; discard this batch and lower the learning rate.`,
      );
    }
    return kept;
  }

  #checkLength(p: number, { length }: Float32Array): void {
    const wanted = this.#places[p].residual.length;
    if (length === wanted) return;
    throw new PsycheError(
      "DISTRO_INPUT_INVALID",
      `An array for ${this.#parameters[p].name} has ${length} elements, ${wanted} are needed; ` +
        "pass the parameter this layout was made for.",
    );
  }
}

/** Parameters of one memory, and what they need of it. */
interface Bank {
  parameters: NamedLayout[];
  kernels: Set<string>;
  bytes: number;
}

/** Neighbouring parameters together, as many as one memory may hold, and at least one. */
function banks(parameters: readonly NamedLayout[]): Bank[] {
  const all: Bank[] = [];
  for (const parameter of parameters) {
    const { layout } = parameter;
    const key = kernelsKey(layout);
    const own = roundUp(4 * layout.blocks * layout.totalk);
    const needed = (bank: Bank) => own + (bank.kernels.has(key) ? 0 : BlockKernels.bytes(layout));
    let bank = all.at(-1);
    if (bank === undefined || bank.bytes + needed(bank) > BANK_BYTES) {
      bank = { parameters: [], kernels: new Set(), bytes: 2 * 4 * PIECE };
      all.push(bank);
    }
    bank.bytes += needed(bank);
    bank.kernels.add(key);
    bank.parameters.push(parameter);
  }
  return all;
}

function placesInOneMemory({ parameters, bytes }: Bank): Place[] {
  const memory = new KernelMemory(bytes);
  const weights = memory.take(Float32Array<ArrayBuffer>, PIECE);
  const ahead = memory.take(Float32Array<ArrayBuffer>, PIECE);
  const shared = new Map<string, BlockKernels>();
  return parameters.map(({ layout }) => {
    const key = kernelsKey(layout);
    let kernels = shared.get(key);
    if (kernels === undefined) shared.set(key, kernels = new BlockKernels(layout, memory));
    const length = layout.blocks * layout.totalk;
    const residual = memory.take(Float32Array<ArrayBuffer>, length);
    return { memory, residual, kernels, weights, ahead };
  });
}
