/**
 * The model's graphs, compiled when first needed: gradients and loss of token rows, logits of the
 * next token. Reads the parameters, never writes them.
 */
import { PsycheError } from "../error.ts";
import { addGradients, type Gradients, scaleGradients } from "./gradient_math.ts";
import { pieces } from "./micro_batch.ts";
import { gradientName, lossModel, nextTokenModel, trainingModel } from "./model/llama_graph.ts";
import type { Model } from "./model/model_directory.ts";
import type { OnnxRuntime } from "./runtime/onnx_runtime.ts";
import { type NumberArray, Session } from "./runtime/session.ts";
import type { ComputeDevice } from "./trainer.ts";

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
  readonly #ort: OnnxRuntime;
  readonly #model: Model;
  readonly #options: LlamaRuntimeOptions;
  readonly #training = new Map<number, Session>();
  readonly #evaluation = new Map<number, Session>();
  #nextToken: Session | undefined;
  /** What a run of the training graph writes. */
  readonly #gradients: Gradients;
  /** Sum over pieces; made when a batch first has several. */
  #sum: Gradients | undefined;

  constructor(ort: OnnxRuntime, model: Model, options: LlamaRuntimeOptions) {
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
    this.#gradients = this.#buffers();
  }

  /**
   * Mean loss and gradients of a batch, accumulated over pieces of equal weight
   * (docs/protocol/training-math.md section 2). The arrays are reused by the next call.
   *
   * @param isAborted asked before every piece and after the last
   * @throws PsycheError `TRAINING_ABORTED`, `TOKENS_INVALID`
   */
  async gradients(
    tokens: Int32Array<ArrayBuffer>,
    batch: number,
    isAborted: () => boolean,
  ): Promise<{ loss: number; gradients: Gradients }> {
    this.#checkTokens(tokens, batch);
    const cut = pieces(batch, this.#options.microBatchSize);
    let loss = 0;
    for (const [i, { start, rows }] of cut.entries()) {
      throwIfAborted(isAborted);
      const session = await this.#session(this.#training, rows, trainingModel);
      loss += await this.#run(session, this.#rows(tokens, start, rows), this.#gradients);
      if (cut.length === 1) break;
      if (i === 0) {
        this.#sum ??= this.#buffers();
        for (const [name, data] of this.#sum) data.set(this.#gradients.get(name)!);
      } else addGradients(this.#sum!, this.#gradients);
    }
    throwIfAborted(isAborted);
    if (cut.length === 1) return { loss, gradients: this.#gradients };
    scaleGradients(this.#sum!, 1 / cut.length);
    return { loss: loss / cut.length, gradients: this.#sum! };
  }

  /** Mean loss over all rows. @throws PsycheError `TOKENS_INVALID` */
  async loss(tokens: Int32Array<ArrayBuffer>, batch: number): Promise<number> {
    this.#checkTokens(tokens, batch);
    let sum = 0;
    for (const { start, rows } of pieces(batch, this.#options.microBatchSize)) {
      const session = await this.#session(this.#evaluation, rows, lossModel);
      sum += rows * await this.#run(session, this.#rows(tokens, start, rows), new Map());
    }
    return sum / batch;
  }

  /** Logits of the token after `context` (of its last `sequenceLength` tokens), [vocabulary]. */
  async nextLogits(context: readonly number[]): Promise<Float32Array> {
    const { sequenceLength, threads, device } = this.#options;
    const window = Int32Array.from(context.slice(-sequenceLength));
    // Later positions do not reach earlier ones, so what fills the rest of the row is no matter.
    const tokens = new Int32Array(sequenceLength);
    tokens.set(window);
    this.#checkTokens(tokens, 1);
    this.#nextToken ??= await Session.create(
      this.#ort,
      nextTokenModel(this.#model.config, sequenceLength),
      { threads, device },
    );
    const logits = new Float32Array(this.#model.config.vocabSize);
    const feeds = this.#feeds(tokens).set("position", Int32Array.of(window.length - 1));
    await this.#nextToken.run(feeds, new Map([["logits", logits]]));
    return logits;
  }

  async release(): Promise<void> {
    const all = [...this.#training.values(), ...this.#evaluation.values()];
    if (this.#nextToken !== undefined) all.push(this.#nextToken);
    this.#training.clear();
    this.#evaluation.clear();
    this.#nextToken = undefined;
    for (const session of all) await session.release();
  }

  #buffers(): Gradients {
    return new Map(
      this.#model.parameters.map(({ name, data }) => [name, new Float32Array(data.length)]),
    );
  }

  #feeds(tokens: Int32Array<ArrayBuffer>): Map<string, NumberArray> {
    const feeds = new Map<string, NumberArray>([["tokens", tokens]]);
    for (const { name, data } of this.#model.parameters) feeds.set(name, data);
    return feeds;
  }

  #rows(tokens: Int32Array<ArrayBuffer>, start: number, rows: number): Int32Array<ArrayBuffer> {
    const { sequenceLength } = this.#options;
    return tokens.subarray(start * sequenceLength, (start + rows) * sequenceLength);
  }

  async #run(
    session: Session,
    tokens: Int32Array<ArrayBuffer>,
    gradients: Gradients,
  ): Promise<number> {
    const loss = new Float32Array(1);
    const results = new Map<string, NumberArray>([["loss", loss]]);
    for (const [name, data] of gradients) results.set(gradientName(name), data);
    await session.run(this.#feeds(tokens), results);
    return loss[0];
  }

  /** The graph for pieces of `rows` rows; the one unused for longest makes room. */
  async #session(
    sessions: Map<number, Session>,
    rows: number,
    build: typeof trainingModel,
  ): Promise<Session> {
    let session = sessions.get(rows);
    if (session === undefined) {
      if (sessions.size >= MAX_SESSIONS) {
        const [oldest] = sessions.keys();
        await sessions.get(oldest)!.release();
        sessions.delete(oldest);
      }
      const { sequenceLength, threads, device } = this.#options;
      const model = build(this.#model.config, { batch: rows, sequenceLength });
      session = await Session.create(this.#ort, model, { threads, device });
    }
    sessions.delete(rows);
    sessions.set(rows, session);
    return session;
  }

  #checkTokens(tokens: Int32Array, batch: number): void {
    const { sequenceLength } = this.#options;
    if (!Number.isSafeInteger(batch) || batch < 1 || tokens.length !== batch * sequenceLength) {
      throw new PsycheError(
        "TOKENS_INVALID",
        `${tokens.length} tokens are no batch of ${batch} rows of ${sequenceLength}; ` +
          "pass whole rows of the trainer's sequence length.",
      );
    }
    const { vocabSize } = this.#model.config;
    const outside = tokens.findIndex((token) => token < 0 || token >= vocabSize);
    if (outside >= 0) {
      throw new PsycheError(
        "TOKENS_INVALID",
        `Token ${
          tokens[outside]
        } at position ${outside} is outside the vocabulary of ${vocabSize}; ` +
          "use data made with this model's tokenizer.",
      );
    }
  }
}

function throwIfAborted(isAborted: () => boolean): void {
  if (!isAborted()) return;
  throw new PsycheError(
    "TRAINING_ABORTED",
    "Training of the batch was aborted and its result discarded; train again when needed.",
  );
}
