/** Training graphs for both halves of a micro batch: at once where threads can share the arrays. */
import type { Gradients } from "../gradient_math.ts";
import { placeOf } from "../kernels/kernel_memory.ts";
import type { BatchShape } from "../model/llama_graph.ts";
import type { LlamaConfig } from "../model/llama_config.ts";
import { type BatchFeeds, ModelGraphs, type WeightArrays } from "../model_graphs.ts";
import type { OnnxRuntime } from "../runtime/onnx_runtime.ts";
import { SecondHalf } from "./second_half.ts";

export class HalvedGraphs {
  readonly #own: ModelGraphs;
  /** Null where this thread computes both. */
  readonly #other: SecondHalf | null;

  private constructor(own: ModelGraphs, other: SecondHalf | null) {
    this.#own = own;
    this.#other = other;
  }

  /**
   * @param threads of both halves together; an odd number computes one half after the other
   * @param arrays all that halves will work on
   * @throws PsycheError `TRAINER_FAILED`
   */
  static async open(
    ort: OnnxRuntime,
    config: LlamaConfig,
    threads: number,
    arrays: readonly Float32Array[],
  ): Promise<HalvedGraphs> {
    const atOnce = threads % 2 === 0 && arrays.every((array) => placeOf(array) !== null);
    const each = atOnce ? threads / 2 : threads;
    return new HalvedGraphs(
      new ModelGraphs(ort, config, { threads: each, device: "cpu" }),
      atOnce ? await SecondHalf.open(config, each) : null,
    );
  }

  /**
   * @param shape of a half
   * @param feeds of the first and the second
   * @param gradients overwritten by each
   * @returns both losses
   * @throws PsycheError as `SecondHalf.begin`, when both have ended
   */
  async train(
    shape: BatchShape,
    feeds: readonly [BatchFeeds, BatchFeeds],
    weights: WeightArrays,
    gradients: readonly [Gradients, Gradients],
  ): Promise<[number, number]> {
    const own = (half: 0 | 1) => this.#own.train(shape, feeds[half], weights, gradients[half]);
    if (this.#other === null) return [await own(0), await own(1)];
    // The other first: the own one blocks this thread.
    const end = this.#other.begin(shape, feeds[1], weights, gradients[1]);
    const [first] = await Promise.allSettled([own(0)]);
    const second = end();
    if (first.status === "rejected") throw first.reason;
    return [first.value, second];
  }

  async release(): Promise<void> {
    await this.#own.release();
    this.#other?.close();
  }
}
