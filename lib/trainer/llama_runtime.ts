/**
 * The model's graphs for batches, compiled when first needed: gradients and loss of token rows.
 * Reads the parameters, never writes them.
 */
import { PsycheError } from "../error.ts";
import { GradientMath, type Gradients } from "./gradient_math.ts";
import { ModelMemory } from "./kernels/model_memory.ts";
import { pieces } from "./micro_batch.ts";
import { type BatchShape, gradientName, lossModel, trainingModel } from "./model/llama_graph.ts";
import type { Model, Parameter } from "./model/model_directory.ts";
import type { OnnxRuntime } from "./runtime/onnx_runtime.ts";
import { type NumberArray, Session } from "./runtime/session.ts";
import { SessionCache } from "./runtime/session_cache.ts";
import type { ComputeDevice } from "./trainer.ts";
import { batchFeeds, batchKind, checkBatch, type TrainingBatch } from "./training_batch.ts";

export interface LlamaRuntimeOptions {
  /** Tokens a row, at least 2. */
  sequenceLength: number;
  /** Most rows in one run of a graph. */
  microBatchSize: number;
  threads: number;
  device: ComputeDevice;
}

/** Compiled graphs kept per kind: one for full pieces, one for a shorter last one, one to spare. */
const MAX_SESSIONS = 3;

export class LlamaRuntime {
  /** For the gradients that this runtime gives. */
  readonly math: GradientMath;
  readonly #ort: OnnxRuntime;
  readonly #model: Model;
  readonly #options: LlamaRuntimeOptions;
  /** By the shape and kind of the batch. */
  readonly #training = new SessionCache(MAX_SESSIONS);
  readonly #evaluation = new SessionCache(MAX_SESSIONS);
  readonly #memory: ModelMemory;
  /** What a run of the training graph writes. */
  readonly #gradients: Gradients;
  /** Sum over pieces; made when a batch first has several. */
  #sum: Gradients | undefined;

  /**
   * @param memory for the sum over pieces
   * @param gradients what runs are to write, zeros as long as the parameters
   */
  constructor(
    ort: OnnxRuntime,
    model: Model,
    options: LlamaRuntimeOptions,
    memory = new ModelMemory(),
    gradients = newGradients(model, memory),
  ) {
    const { sequenceLength, microBatchSize, threads } = options;
    for (
      const [name, value, least] of [
        ["sequenceLength", sequenceLength, 2],
        ["microBatchSize", microBatchSize, 1],
        ["threads", threads, 1],
      ] as const
    ) {
      if (!Number.isSafeInteger(value) || value < least || value > 1 << 20) {
        throw new PsycheError(
          "TRAINER_OPTION_INVALID",
          `${name} is ${value}; use a whole number from ${least} to 2^20.`,
        );
      }
    }
    this.#ort = ort;
    this.#model = model;
    this.#options = options;
    this.#memory = memory;
    this.math = new GradientMath(memory.threads);
    this.#gradients = gradients;
  }

  /**
   * Mean loss and gradients of a batch, accumulated over pieces of equal weight
   * (docs/protocol/training-math.md section 2). A piece's mean is over its labels that count; a piece
   * in which none does adds 0 to both. The arrays are reused by the next call.
   *
   * @param isAborted asked before every piece and after the last
   * @param weights at which gradients are taken; by default the model's
   * @throws PsycheError `TRAINING_ABORTED`, `TOKENS_INVALID`
   */
  async gradients(
    batch: TrainingBatch,
    isAborted: () => boolean,
    weights: readonly Parameter[] = this.#model.parameters,
  ): Promise<{ loss: number; gradients: Gradients }> {
    const { sequenceLength, microBatchSize } = this.#options;
    this.check(batch);
    const cut = pieces(batch.batch, microBatchSize);
    const kind = batchKind(batch);
    let loss = 0;
    for (const [i, piece] of cut.entries()) {
      throwIfAborted(isAborted);
      const shape = { batch: piece.rows, sequenceLength, ...kind };
      const session = await this.#session(this.#training, shape, trainingModel);
      const feeds = batchFeeds(batch, piece, sequenceLength);
      loss += await this.#run(session, feeds, this.#gradients, weights);
      if (cut.length === 1) break;
      if (i === 0) {
        this.#sum ??= newGradients(this.#model, this.#memory);
        for (const [name, data] of this.#sum) data.set(this.#gradients.get(name)!);
      } else this.math.add(this.#sum!, this.#gradients);
    }
    throwIfAborted(isAborted);
    if (cut.length === 1) return { loss, gradients: this.#gradients };
    this.math.scale(this.#sum!, 1 / cut.length);
    return { loss: loss / cut.length, gradients: this.#sum! };
  }

  /** Mean loss over all rows. @throws PsycheError `TOKENS_INVALID` */
  async loss(tokens: Int32Array, batch: number): Promise<number> {
    const { sequenceLength, microBatchSize } = this.#options;
    this.check({ tokens, batch });
    let sum = 0;
    for (const piece of pieces(batch, microBatchSize)) {
      const { rows } = piece;
      const session = await this.#session(
        this.#evaluation,
        { batch: rows, sequenceLength },
        lossModel,
      );
      const feeds = batchFeeds({ tokens, batch }, piece, sequenceLength);
      sum += rows * await this.#run(session, feeds, new Map());
    }
    return sum / batch;
  }

  async release(): Promise<void> {
    await this.#training.release();
    await this.#evaluation.release();
  }

  #withWeights(
    feeds: Map<string, NumberArray>,
    weights: readonly Parameter[] = this.#model.parameters,
  ): Map<string, NumberArray> {
    for (const { name, data } of weights) feeds.set(name, data);
    return feeds;
  }

  async #run(
    session: Session,
    feeds: Map<string, NumberArray>,
    gradients: Gradients,
    weights?: readonly Parameter[],
  ): Promise<number> {
    const loss = new Float32Array(1);
    const results = new Map<string, NumberArray>([["loss", loss]]);
    for (const [name, data] of gradients) results.set(gradientName(name), data);
    await session.run(this.#withWeights(feeds, weights), results);
    return loss[0];
  }

  /** The graph for batches of `shape`. */
  #session(
    sessions: SessionCache,
    shape: BatchShape,
    build: typeof trainingModel,
  ): Promise<Session> {
    const { threads, device } = this.#options;
    return sessions.get(
      JSON.stringify(shape),
      () => {
        const model = build(this.#model.config, shape, { fused: device === "cpu" });
        return Session.create(this.#ort, model, { threads, device });
      },
    );
  }

  /** @throws PsycheError `TOKENS_INVALID` for rows that this runtime cannot take */
  check(batch: TrainingBatch): void {
    const { sequenceLength } = this.#options;
    checkBatch(batch, { sequenceLength, vocabSize: this.#model.config.vocabSize });
  }
}

function newGradients({ parameters }: Model, memory: ModelMemory): Gradients {
  return new Map(parameters.map(({ name, data }) => [name, memory.take(data.length)[0]]));
}

function throwIfAborted(isAborted: () => boolean): void {
  if (!isAborted()) return;
  throw new PsycheError(
    "TRAINING_ABORTED",
    "Training of the batch was aborted and its result discarded; train again when needed.",
  );
}
