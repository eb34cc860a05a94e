/** Reads the beginning of a text in one pass: much faster than token by token. */
import type { Model } from "../model/model_directory.ts";
import { prefillModel } from "../model/prefill_graph.ts";
import type { OnnxRuntime } from "../runtime/onnx_runtime.ts";
import type { NumberArray } from "../runtime/session.ts";
import { roundUp } from "./round_up.ts";
import { TextGraphs, type TextOptions } from "./text_graphs.ts";

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
  /** By length. */
  readonly #graphs: TextGraphs;

  constructor(ort: OnnxRuntime, model: Model, options: TextOptions) {
    this.#graphs = new TextGraphs(ort, model, options, MAX_SESSIONS);
  }

  /** @param tokens at least one, all of the vocabulary */
  async read(tokens: readonly number[]): Promise<Prefilled> {
    const { layers, heads, kvHeads, hiddenSize, vocabSize } = this.#graphs.config;
    const length = roundUp(tokens.length, SHORTEST);
    // Later positions do not reach earlier ones, so what fills the rest is no matter.
    const row = new Int32Array(length);
    row.set(tokens);
    const feeds = new Map<string, NumberArray>([
      ["tokens", row],
      ["last", Int32Array.of(tokens.length - 1)],
    ]);
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
    await this.#graphs.run(
      `${length}`,
      (config) => prefillModel(config, length),
      feeds,
      new Map<string, NumberArray>([["logits", logits], ...memory]),
    );
    return { logits, length, memory };
  }

  release(): Promise<void> {
    return this.#graphs.release();
  }
}
