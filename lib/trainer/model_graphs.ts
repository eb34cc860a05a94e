/** The graphs of one model for batches, compiled when first needed for a shape. Arrays are the caller's. */
import type { Gradients } from "./gradient_math.ts";
import { type BatchShape, gradientName, lossModel, trainingModel } from "./model/llama_graph.ts";
import type { LlamaConfig } from "./model/llama_config.ts";
import type { Parameter } from "./model/model_directory.ts";
import type { OnnxRuntime } from "./runtime/onnx_runtime.ts";
import { type NumberArray, Session } from "./runtime/session.ts";
import { SessionCache } from "./runtime/session_cache.ts";
import type { ComputeDevice } from "./trainer.ts";

/** What a graph takes in beside the parameters, by name. */
export type BatchFeeds = ReadonlyMap<string, Int32Array<ArrayBuffer>>;

/** Parameters by name, fp32. */
export type WeightArrays = readonly Pick<Parameter, "name" | "data">[];

/** Compiled graphs kept per kind: one for full pieces, one for a shorter last one, one to spare. */
const MAX_SESSIONS = 3;

export class ModelGraphs {
  readonly #ort: OnnxRuntime;
  readonly #config: LlamaConfig;
  readonly #options: { threads: number; device: ComputeDevice };
  /** By the shape of the batch. */
  readonly #training = new SessionCache(MAX_SESSIONS);
  readonly #evaluation = new SessionCache(MAX_SESSIONS);

  constructor(
    ort: OnnxRuntime,
    config: LlamaConfig,
    options: { threads: number; device: ComputeDevice },
  ) {
    this.#ort = ort;
    this.#config = config;
    this.#options = options;
  }

  /**
   * Blocks the thread while it computes.
   *
   * @param gradients are overwritten
   * @returns the loss
   * @throws PsycheError `GRAPH_REFUSED`, `GRAPH_RUN_FAILED`
   */
  train(
    shape: BatchShape,
    feeds: BatchFeeds,
    weights: WeightArrays,
    gradients: Gradients,
  ): Promise<number> {
    return this.#run(this.#training, trainingModel, shape, feeds, weights, gradients);
  }

  /** The loss alone; as {@linkcode train}. */
  loss(shape: BatchShape, feeds: BatchFeeds, weights: WeightArrays): Promise<number> {
    return this.#run(this.#evaluation, lossModel, shape, feeds, weights, new Map());
  }

  async release(): Promise<void> {
    await this.#training.release();
    await this.#evaluation.release();
  }

  async #run(
    sessions: SessionCache,
    build: typeof trainingModel,
    shape: BatchShape,
    feeds: BatchFeeds,
    weights: WeightArrays,
    gradients: Gradients,
  ): Promise<number> {
    const { threads, device } = this.#options;
    const session = await sessions.get(JSON.stringify(shape), () => {
      const model = build(this.#config, shape, { fused: device === "cpu" });
      return Session.create(this.#ort, model, { threads, device });
    });
    const inputs = new Map<string, NumberArray>(feeds);
    for (const { name, data } of weights) inputs.set(name, data);
    const loss = new Float32Array(1);
    const results = new Map<string, NumberArray>([["loss", loss]]);
    for (const [name, data] of gradients) results.set(gradientName(name), data);
    await session.run(inputs, results);
    return loss[0];
  }
}
