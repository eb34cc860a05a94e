/** One further rank of data parallelism: a worker that computes gradients at weights it is given. */
import { PsycheError } from "../error.ts";
import type { AbortFlag } from "./abort_flag.ts";
import type { LlamaRuntimeOptions } from "./llama_runtime.ts";
import type { Parameter } from "./model/model_directory.ts";
import type { TrainingBatch } from "./training_batch.ts";
import { WorkerClient } from "./worker_client.ts";
import { fromPortable, type PortableError } from "./worker_protocol.ts";

/**
 * One array a parameter. It goes out with the weights and comes back with the gradients, or with an
 * error: the arrays move between the threads, so nothing as large as the model is allocated in a step.
 */
export type Parcel = Float32Array<ArrayBuffer>[];

/** What a rank's worker can be asked for. */
export interface RankMethods {
  /** The first call, with the text of the model's config.json. */
  open(config: string, options: LlamaRuntimeOptions): Promise<void>;
  gradients(
    weights: Parcel,
    batch: TrainingBatch,
    abort: AbortFlag | undefined,
  ): Promise<{ parcel: Parcel; loss: number } | { parcel: Parcel; error: PortableError }>;
  release(): Promise<void>;
}

export class GradientRank {
  readonly #client: WorkerClient<RankMethods>;
  /** Null before its first way and while it is away. */
  #parcel: Parcel | null = null;

  private constructor(client: WorkerClient<RankMethods>) {
    this.#client = client;
  }

  /**
   * @param rank its number, for messages
   * @throws PsycheError `MODEL_CONFIG_INVALID`, `TRAINER_OPTION_INVALID`, `TRAINER_FAILED`
   */
  static async open(
    rank: number,
    config: string,
    options: LlamaRuntimeOptions,
    module: URL = new URL("./data_parallel_worker.ts", import.meta.url),
  ): Promise<GradientRank> {
    const client = new WorkerClient<RankMethods>(module, `Data-parallel rank ${rank}`);
    try {
      await client.call("open", config, options);
      return new GradientRank(client);
    } catch (error) {
      client.end(closed());
      throw error;
    }
  }

  /**
   * Mean loss and gradients of `batch` at `weights`, in the order of the parameters. The arrays belong
   * to this rank and are overwritten by the next call.
   *
   * @throws PsycheError as `LlamaRuntime.gradients`, or `TRAINER_FAILED` when the worker died
   */
  async gradients(
    weights: readonly Parameter[],
    batch: TrainingBatch,
    abort: AbortFlag | undefined,
  ): Promise<{ loss: number; gradients: Parcel }> {
    const parcel = this.#parcel ?? weights.map(({ data }) => new Float32Array(data.length));
    this.#parcel = null;
    weights.forEach(({ data }, p) => parcel[p].set(data));
    const buffers = parcel.map(({ buffer }) => buffer);
    const answer = await this.#client.callMoving(buffers, "gradients", parcel, batch, abort);
    this.#parcel = answer.parcel;
    if ("error" in answer) throw fromPortable(answer.error);
    return { loss: answer.loss, gradients: answer.parcel };
  }

  async close(): Promise<void> {
    // A worker that has failed already has nothing left to release.
    await this.#client.call("release").catch(() => {});
    this.#client.end(closed());
  }
}

function closed(): PsycheError {
  return new PsycheError("TRAINER_CLOSED", "The trainer is closed; create a new one.");
}
