/**
 * Gradients and loss of token rows. Reads the parameters, never writes them.
 */
import { PsycheError } from "../error.ts";
import { GradientMath, type Gradients } from "./gradient_math.ts";
import { HalvedGraphs } from "./halves/halved_graphs.ts";
import { halvesOf, isHalved } from "./halves/is_halved.ts";
import { ModelMemory } from "./kernels/model_memory.ts";
import { type Piece, pieces } from "./micro_batch.ts";
import type { Model, Parameter } from "./model/model_directory.ts";
import { ModelGraphs } from "./model_graphs.ts";
import type { OnnxRuntime } from "./runtime/onnx_runtime.ts";
import type { ComputeDevice } from "./trainer.ts";
import {
  batchFeeds,
  batchKind,
  checkBatch,
  countLabels,
  type TrainingBatch,
} from "./training_batch.ts";

export interface LlamaRuntimeOptions {
  /** Tokens a row, at least 2. */
  sequenceLength: number;
  /** Most rows in one run of a graph. */
  microBatchSize: number;
  threads: number;
  device: ComputeDevice;
}

export class LlamaRuntime {
  /** For the gradients that this runtime gives. */
  readonly math: GradientMath;
  readonly #ort: OnnxRuntime;
  readonly #model: Model;
  readonly #options: LlamaRuntimeOptions;
  readonly #graphs: ModelGraphs;
  readonly #memory: ModelMemory;
  /** What a run of the training graph writes. */
  readonly #gradients: Gradients;
  /** For pieces in two halves, and what the second one writes; made when first needed. */
  #halved: HalvedGraphs | undefined;
  #second: Gradients | undefined;
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
    this.#graphs = new ModelGraphs(ort, model.config, options);
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
    this.check(batch);
    const cut = pieces(batch.batch, this.#options.microBatchSize);
    let loss = 0;
    for (const [i, piece] of cut.entries()) {
      throwIfAborted(isAborted);
      loss += await this.#train(batch, piece, weights);
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
      const feeds = batchFeeds({ tokens, batch }, piece, sequenceLength);
      const shape = { batch: rows, sequenceLength };
      sum += rows * await this.#graphs.loss(shape, feeds, this.#model.parameters);
    }
    return sum / batch;
  }

  async release(): Promise<void> {
    await this.#graphs.release();
    await this.#halved?.release();
  }

  /** Fills `#gradients`; returns the loss. */
  async #train(
    batch: TrainingBatch,
    piece: Piece,
    weights: readonly Parameter[],
  ): Promise<number> {
    const { sequenceLength, threads, device } = this.#options;
    const { config } = this.#model;
    const feeds = (piece: Piece) => batchFeeds(batch, piece, sequenceLength);
    const shape = { batch: piece.rows, sequenceLength, ...batchKind(batch) };
    if (device !== "cpu" || !isHalved(config, shape)) {
      return await this.#graphs.train(shape, feeds(piece), weights, this.#gradients);
    }
    this.#second ??= newGradients(this.#model, this.#memory);
    this.#halved ??= await HalvedGraphs.open(this.#ort, config, threads, [
      ...weights.map(({ data }) => data),
      ...this.#gradients.values(),
      ...this.#second.values(),
    ]);
    const halves = halvesOf(piece);
    const losses = await this.#halved.train(
      { ...shape, batch: halves[0].rows },
      [feeds(halves[0]), feeds(halves[1])],
      weights,
      [this.#gradients, this.#second],
    );
    const [first, second] = halves.map((half) => countLabels(batch, half, sequenceLength));
    // Where no label counts, all is zero and any share is right.
    const share = second / Math.max(first + second, 1);
    this.math.blend(this.#gradients, this.#second, 1 - share, share);
    return (1 - share) * losses[0] + share * losses[1];
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
