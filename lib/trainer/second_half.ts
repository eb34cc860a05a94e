/** The thread that computes the second half of micro batches, in the arrays of the thread that asks. */
import { PsycheError } from "../error.ts";
import type { Gradients } from "./gradient_math.ts";
import { memoryOf, type MemoryParts, type Place, placeOf } from "./kernels/kernel_memory.ts";
import type { LlamaConfig } from "./model/llama_config.ts";
import type { BatchShape } from "./model/llama_graph.ts";
import type { BatchFeeds, WeightArrays } from "./model_graphs.ts";
import { WorkerClient } from "./worker_client.ts";

/** Where the arrays of a model's parameters lie. */
export interface SharedArrays {
  memories: MemoryParts[];
  arrays: { name: string; place: Place }[];
}

/** What its worker can be asked for. */
export interface SecondHalfMethods {
  /** The first call. */
  open(config: LlamaConfig, threads: number): Promise<void>;
  /** Makes weights or gradients known. @returns their number in `train` */
  share(arrays: SharedArrays): Promise<number>;
  /** As `ModelGraphs.train`. */
  train(shape: BatchShape, feeds: BatchFeeds, weights: number, gradients: number): Promise<number>;
  release(): Promise<void>;
}

export class SecondHalf {
  readonly #client: WorkerClient<SecondHalfMethods>;
  readonly #known = new WeakMap<WeightArrays | Gradients, Promise<number>>();

  private constructor(client: WorkerClient<SecondHalfMethods>) {
    this.#client = client;
  }

  /** @throws PsycheError `TRAINER_FAILED` */
  static async open(
    config: LlamaConfig,
    threads: number,
    module: URL = new URL("./second_half_worker.ts", import.meta.url),
  ): Promise<SecondHalf> {
    const client = new WorkerClient<SecondHalfMethods>(module, "The worker of the second half");
    try {
      await client.call("open", config, threads);
      return new SecondHalf(client);
    } catch (error) {
      client.end(closed());
      throw error;
    }
  }

  /**
   * As `ModelGraphs.train`, for arrays in kernel memories. They are told of once only, so it must be the
   * same list and map when they are the same.
   *
   * @throws PsycheError as there, or `TRAINER_FAILED` when the worker died
   */
  async train(
    shape: BatchShape,
    feeds: BatchFeeds,
    weights: WeightArrays,
    gradients: Gradients,
  ): Promise<number> {
    const [from, to] = await Promise.all([
      this.#share(weights, weights.map(({ name, data }) => [name, data])),
      this.#share(gradients, [...gradients]),
    ]);
    return await this.#client.call("train", shape, feeds, from, to);
  }

  async close(): Promise<void> {
    // A worker that has failed already has nothing left to release.
    await this.#client.call("release").catch(() => {});
    this.#client.end(closed());
  }

  #share(
    key: WeightArrays | Gradients,
    arrays: readonly (readonly [string, Float32Array])[],
  ): Promise<number> {
    let known = this.#known.get(key);
    if (known === undefined) {
      known = this.#client.call("share", {
        memories: [...new Set(arrays.map(([, data]) => memoryOf(data)!.parts))],
        arrays: arrays.map(([name, data]) => ({ name, place: placeOf(data)! })),
      });
      this.#known.set(key, known);
    }
    return known;
  }
}

function closed(): PsycheError {
  return new PsycheError("TRAINER_CLOSED", "The trainer is closed; create a new one.");
}
