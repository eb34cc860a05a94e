/** Reads the beginning of a text in one pass: much faster than token by token. */
import type { Model } from "../model/model_directory.ts";
import { prefillModel } from "../model/prefill_graph.ts";
import type { OnnxRuntime } from "../runtime/onnx_runtime.ts";
import { type NumberArray, Session } from "../runtime/session.ts";
import { SessionCache } from "../runtime/session_cache.ts";
import type { ComputeDevice } from "../trainer.ts";

/** Compiled graphs kept; lengths are rounded up to powers of two so that few are needed. */
const MAX_SESSIONS = 2;
const SHORTEST = 64;

/** What a pass found out; the arrays belong to the caller. */
export interface Prefilled {
  /** Of the token after the text, [vocabulary]. */
  logits: Float32Array<ArrayBuffer>;
  /** Positions for which there are keys and values; those behind the text mean nothing. */
  length: number;
  /** `key:N` and `value:N` of each layer, [kvHeads, length, headDim]. */
  memory: ReadonlyMap<string, Float32Array<ArrayBuffer>>;
}

export class Prefill {
  readonly #ort: OnnxRuntime;
  readonly #model: Model;
  readonly #options: { threads: number; device?: ComputeDevice };
  /** By length. */
  readonly #sessions = new SessionCache(MAX_SESSIONS);

  constructor(
    ort: OnnxRuntime,
    model: Model,
    options: { threads: number; device?: ComputeDevice },
  ) {
    this.#ort = ort;
    this.#model = model;
    this.#options = options;
  }

  /** @param tokens at least one, all of the vocabulary */
  async read(tokens: readonly number[]): Promise<Prefilled> {
    const { layers, heads, kvHeads, hiddenSize, vocabSize } = this.#model.config;
    const length = Math.max(SHORTEST, 2 ** Math.ceil(Math.log2(tokens.length)));
    const session = await this.#session(length);
    // Later positions do not reach earlier ones, so what fills the rest is no matter.
    const row = new Int32Array(length);
    row.set(tokens);
    const feeds = new Map<string, NumberArray>([
      ["tokens", row],
      ["last", Int32Array.of(tokens.length - 1)],
    ]);
    for (const { name, data } of this.#model.parameters) feeds.set(name, data);
    const logits = new Float32Array(vocabSize);
    const memory = new Map<string, Float32Array<ArrayBuffer>>();
    for (let layer = 0; layer < layers; layer++) {
      for (const kind of ["key", "value"]) {
        memory.set(
          `${kind}:${layer}`,
          new Float32Array(kvHeads * length * (hiddenSize / heads)),
        );
      }
    }
    await session.run(feeds, new Map<string, NumberArray>([["logits", logits], ...memory]));
    return { logits, length, memory };
  }

  async release(): Promise<void> {
    await this.#sessions.release();
  }

  #session(length: number): Promise<Session> {
    return this.#sessions.get(`${length}`, () => {
      const graph = prefillModel(this.#model.config, length);
      return Session.create(this.#ort, graph, this.#options);
    });
  }
}
