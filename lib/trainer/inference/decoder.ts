/** Reads a text token by token and tells after each what may follow; remembers keys and values. */
import { PsycheError } from "../../error.ts";
import { decodeModel } from "../model/decode_graph.ts";
import type { Model } from "../model/model_directory.ts";
import { ropeFrequencies, rotaryRow } from "../model/rope.ts";
import type { OnnxRuntime } from "../runtime/onnx_runtime.ts";
import { type NumberArray, Session } from "../runtime/session.ts";

/** Large enough to vanish in softmax, small enough to stay finite after adding a score. */
const MASKED = -1e30;

export class Decoder {
  readonly #model: Model;
  readonly #session: Session;
  readonly #capacity: number;
  readonly #frequencies: Float32Array;
  readonly #feeds: Map<string, NumberArray>;
  readonly #results: Map<string, NumberArray>;
  /** Tokens read so far. */
  #position = 0;

  private constructor(model: Model, session: Session, capacity: number) {
    this.#model = model;
    this.#session = session;
    this.#capacity = capacity;
    this.#frequencies = ropeFrequencies(model.config);
    const { layers, kvHeads, vocabSize } = model.config;
    const headSize = kvHeads * this.#headDim;
    this.#feeds = new Map<string, NumberArray>([
      ["mask", new Float32Array(capacity + 1).fill(MASKED, 0, capacity)],
    ]);
    for (const { name, data } of model.parameters) this.#feeds.set(name, data);
    this.#results = new Map([["logits", new Float32Array(vocabSize)]]);
    for (let layer = 0; layer < layers; layer++) {
      for (const kind of ["key", "value"]) {
        this.#feeds.set(`${kind}s:${layer}`, new Float32Array(headSize * capacity));
        this.#results.set(`${kind}:${layer}`, new Float32Array(headSize));
      }
    }
  }

  /** @param capacity most tokens that can be read */
  static async create(
    ort: OnnxRuntime,
    model: Model,
    { capacity, threads }: { capacity: number; threads: number },
  ): Promise<Decoder> {
    const graph = decodeModel(model.config, capacity);
    return new Decoder(model, await Session.create(ort, graph, { threads }), capacity);
  }

  /**
   * Logits [vocabulary] of the token after `token`; the array is reused by the next call.
   *
   * @throws PsycheError `TOKENS_INVALID` for a token outside the vocabulary or one too many
   */
  async read(token: number): Promise<Float32Array> {
    const { config } = this.#model;
    if (!(token >= 0 && token < config.vocabSize) || this.#position >= this.#capacity) {
      throw new PsycheError(
        "TOKENS_INVALID",
        `Token ${token} cannot be read at position ${this.#position} of ${this.#capacity} with a ` +
          `vocabulary of ${config.vocabSize}; use the model's tokenizer and fewer tokens.`,
      );
    }
    const { cos, sin } = rotaryRow(config, this.#frequencies, this.#position);
    this.#feeds.set("token", Int32Array.of(token)).set("cos", cos).set("sin", sin);
    await this.#session.run(this.#feeds, this.#results);
    this.#remember();
    return this.#results.get("logits") as Float32Array;
  }

  async release(): Promise<void> {
    await this.#session.release();
  }

  get #headDim(): number {
    return this.#model.config.hiddenSize / this.#model.config.heads;
  }

  /** Puts the token's keys and values behind those before it and makes them visible. */
  #remember(): void {
    const { layers, kvHeads } = this.#model.config;
    const size = this.#headDim;
    for (let layer = 0; layer < layers; layer++) {
      for (const kind of ["key", "value"]) {
        const all = this.#feeds.get(`${kind}s:${layer}`)!;
        const one = this.#results.get(`${kind}:${layer}`)!;
        for (let h = 0; h < kvHeads; h++) {
          all.set(
            one.subarray(h * size, (h + 1) * size),
            (h * this.#capacity + this.#position) * size,
          );
        }
      }
    }
    this.#feeds.get("mask")![this.#position] = 0;
    this.#position++;
  }
}
