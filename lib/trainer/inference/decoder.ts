/** Reads a text token by token and tells after each what may follow; remembers keys and values. */
import { PsycheError } from "../../error.ts";
import { decodeModel } from "../model/decode_graph.ts";
import type { Model } from "../model/model_directory.ts";
import { ropeFrequencies, rotaryRow } from "../model/rope.ts";
import type { OnnxRuntime } from "../runtime/onnx_runtime.ts";
import { type NumberArray, Session } from "../runtime/session.ts";
import type { Prefilled } from "./prefill.ts";
import type { TextOptions } from "./text_graphs.ts";

/** Large enough to vanish in softmax, small enough to stay finite after adding a score. */
const MASKED = -1e30;

export class Decoder {
  readonly #model: Model;
  readonly #session: Session;
  /** Most tokens that can be read. */
  readonly capacity: number;
  readonly #frequencies: Float32Array;
  readonly #feeds: Map<string, NumberArray>;
  readonly #results: Map<string, NumberArray>;
  /** Tokens read so far. */
  readonly #tokens: number[] = [];

  private constructor(model: Model, session: Session, capacity: number) {
    this.#model = model;
    this.#session = session;
    this.capacity = capacity;
    this.#frequencies = ropeFrequencies(model.config);
    const { layers, kvHeads, vocabSize } = model.config;
    const headSize = kvHeads * this.#headDim;
    this.#feeds = new Map<string, NumberArray>([
      ["mask", new Float32Array(capacity + 1).fill(MASKED, 0, capacity)],
    ]);
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
    { capacity, ...options }: { capacity: number } & TextOptions,
  ): Promise<Decoder> {
    const graph = decodeModel(model.config, capacity);
    return new Decoder(model, await Session.create(ort, graph, options), capacity);
  }

  /** Tokens read so far. */
  get tokens(): readonly number[] {
    return this.#tokens;
  }

  /** Forgets all tokens behind the first `count`. */
  rewind(count: number): void {
    this.#tokens.length = count;
    (this.#feeds.get("mask") as Float32Array).fill(MASKED, count, this.capacity);
  }

  /**
   * Takes over what a pass over `tokens` found out, in place of all that was read.
   *
   * @param tokens at most `capacity`
   */
  adopt(tokens: readonly number[], { length, memory }: Prefilled): void {
    const { layers, kvHeads } = this.#model.config;
    const size = this.#headDim;
    for (let layer = 0; layer < layers; layer++) {
      for (const kind of ["key", "value"]) {
        const all = this.#feeds.get(`${kind}s:${layer}`)!;
        const found = memory.get(`${kind}:${layer}`)!;
        for (let h = 0; h < kvHeads; h++) {
          const start = h * length * size;
          all.set(found.subarray(start, start + tokens.length * size), h * this.capacity * size);
        }
      }
    }
    this.rewind(0);
    this.#tokens.push(...tokens);
    (this.#feeds.get("mask") as Float32Array).fill(0, 0, tokens.length);
  }

  /**
   * Logits [vocabulary] of the token after `token`; the array is reused by the next call.
   *
   * @throws PsycheError `TOKENS_INVALID` for a token outside the vocabulary or one too many
   */
  async read(token: number): Promise<Float32Array> {
    const { config } = this.#model;
    const position = this.#tokens.length;
    if (!(token >= 0 && token < config.vocabSize) || position >= this.capacity) {
      throw new PsycheError(
        "TOKENS_INVALID",
        `Token ${token} cannot be read at position ${position} of ${this.capacity} with a ` +
          `vocabulary of ${config.vocabSize}; use the model's tokenizer and fewer tokens.`,
      );
    }
    const { cos, sin } = rotaryRow(config, this.#frequencies, position);
    for (const { name, data } of this.#model.parameters) this.#feeds.set(name, data);
    this.#feeds.set("token", Int32Array.of(token)).set("cos", cos).set("sin", sin);
    await this.#session.run(this.#feeds, this.#results);
    this.#remember(token);
    return this.#results.get("logits") as Float32Array;
  }

  async release(): Promise<void> {
    await this.#session.release();
  }

  get #headDim(): number {
    return this.#model.config.hiddenSize / this.#model.config.heads;
  }

  /** Puts the token's keys and values behind those before it and makes them visible. */
  #remember(token: number): void {
    const position = this.#tokens.length;
    const { layers, kvHeads } = this.#model.config;
    const size = this.#headDim;
    for (let layer = 0; layer < layers; layer++) {
      for (const kind of ["key", "value"]) {
        const all = this.#feeds.get(`${kind}s:${layer}`)!;
        const one = this.#results.get(`${kind}:${layer}`)!;
        for (let h = 0; h < kvHeads; h++) {
          all.set(
            one.subarray(h * size, (h + 1) * size),
            (h * this.capacity + position) * size,
          );
        }
      }
    }
    this.#feeds.get("mask")![position] = 0;
    this.#tokens.push(token);
  }
}
