/**
 * Data parallelism (docs/protocol/training-math.md section 2): every rank computes the gradients of its
 * rows, the first one averages them. Weights, optimizer and results exist once, on the first rank.
 */
import { type AbortFlag, isRaised } from "./abort_flag.ts";
import { GradientRank } from "./data_parallel_rank.ts";
import { splitBatch } from "./data_parallel_split.ts";
import type { Gradients } from "./gradient_math.ts";
import type { LlamaRuntime, LlamaRuntimeOptions } from "./llama_runtime.ts";
import type { Parameter } from "./model/model_directory.ts";
import type { TrainingBatch } from "./training_batch.ts";

export class DataParallelGradients {
  readonly #own: LlamaRuntime;
  readonly #others: readonly GradientRank[];

  /** @param others the ranks from 1 on */
  constructor(own: LlamaRuntime, others: readonly GradientRank[]) {
    this.#own = own;
    this.#others = others;
  }

  /**
   * Starts a worker for every further rank.
   *
   * @param config text of the model's config.json
   * @param others the ranks from 1 on; without any, gradients are those of `own`
   * @throws PsycheError as `GradientRank.open`; the others are ended then
   */
  static async open(
    own: LlamaRuntime,
    config: string,
    others: readonly LlamaRuntimeOptions[],
  ): Promise<DataParallelGradients> {
    const opening = others.map((options, i) => GradientRank.open(i + 1, config, options));
    const opened = await Promise.allSettled(opening);
    const ranks = opened.flatMap((rank) => rank.status === "fulfilled" ? [rank.value] : []);
    const failed = opened.find((rank) => rank.status === "rejected");
    if (failed === undefined) return new DataParallelGradients(own, ranks);
    await Promise.all(ranks.map((rank) => rank.close()));
    throw failed.reason;
  }

  /**
   * Mean loss and gradients over the ranks that have rows, each with equal weight, added in the order of
   * the ranks. The arrays are reused by the next call. When a rank fails the others end first.
   *
   * @param weights at which gradients are taken, on all ranks
   * @throws PsycheError as `LlamaRuntime.gradients`, or `TRAINER_FAILED` when a rank's worker died
   */
  async gradients(
    weights: readonly Parameter[],
    batch: TrainingBatch,
    abort?: AbortFlag,
  ): Promise<{ loss: number; gradients: Gradients }> {
    const isAborted = () => abort !== undefined && isRaised(abort);
    if (this.#others.length === 0) return await this.#own.gradients(batch, isAborted, weights);
    this.#own.check(batch);
    const [first, ...rest] = splitBatch(batch, 1 + this.#others.length);
    // The others first: from its call on, the own runtime blocks this thread.
    const others = rest.map((part, i) => this.#others[i].gradients(weights, part, abort));
    const own = this.#own.gradients(first, isAborted, weights);
    await Promise.allSettled([own, ...others]);
    const { loss, gradients } = await own;
    const parts = await Promise.all(others);
    const { math } = this.#own;
    for (const part of parts) math.add(gradients, byName(weights, part.gradients));
    const ranks = 1 + parts.length;
    if (ranks > 1) math.scale(gradients, 1 / ranks);
    return { loss: parts.reduce((sum, part) => sum + part.loss, loss) / ranks, gradients };
  }

  async close(): Promise<void> {
    await Promise.all(this.#others.map((rank) => rank.close()));
  }
}

function byName(
  parameters: readonly Parameter[],
  arrays: readonly Float32Array<ArrayBuffer>[],
): Gradients {
  return new Map(parameters.map(({ name }, p) => [name, arrays[p]]));
}
