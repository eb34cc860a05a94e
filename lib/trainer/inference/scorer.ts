/** How likely a model finds given continuations. */
import { PsycheError } from "../../error.ts";
import { scoreModel } from "../model/llama_graph.ts";
import type { Model } from "../model/model_directory.ts";
import type { OnnxRuntime } from "../runtime/onnx_runtime.ts";
import type { NumberArray } from "../runtime/session.ts";
import { checkTokens } from "./check_tokens.ts";
import { notFinite } from "./not_finite.ts";
import { roundUp } from "./round_up.ts";
import { TextGraphs, type TextOptions } from "./text_graphs.ts";

/** Compiled graphs kept; sizes are rounded up to powers so that few are needed. */
const MAX_SESSIONS = 8;
const SHORTEST = 32;
const FEWEST = 16;

export class Scorer {
  /** By `<length>/<scored>`. */
  readonly #graphs: TextGraphs;

  constructor(ort: OnnxRuntime, model: Model, options: TextOptions) {
    this.#graphs = new TextGraphs(ort, model, options, MAX_SESSIONS);
  }

  /**
   * Log-probability (nats) of each of the last `count` tokens, given all before it. A text longer than
   * the model's positions loses tokens at its beginning.
   *
   * @throws PsycheError `TOKENS_INVALID`, `MODEL_NOT_FINITE`
   */
  async score(tokens: readonly number[], count: number): Promise<Float32Array> {
    const { maxPositions, vocabSize } = this.#graphs.config;
    // The last token is only predicted, never read.
    const read = tokens.slice(0, -1).slice(-maxPositions);
    if (!(count >= 1 && count <= read.length)) {
      throw new PsycheError(
        "TOKENS_INVALID",
        `${count} of ${tokens.length} tokens cannot be scored with ${maxPositions} positions; score at least one and fewer than there are.`,
      );
    }
    checkTokens(tokens, vocabSize);
    const length = roundUp(read.length, SHORTEST);
    // Scored rows are cheap beside the rows that are read.
    const scored = roundUp(count, FEWEST, 4);
    const results = new Float32Array(scored);
    const feeds = new Map<string, NumberArray>([
      ["tokens", padded(read, length)],
      ["rows", padded(Array.from({ length: count }, (_, i) => read.length - count + i), scored)],
      ["labels", padded(tokens.slice(-count), scored)],
    ]);
    await this.#graphs.run(
      `${length}/${scored}`,
      (config) => scoreModel(config, length, scored),
      feeds,
      new Map([["logProbabilities", results]]),
    );
    const found = results.subarray(0, count);
    if (!found.every(Number.isFinite)) throw notFinite();
    return found;
  }

  release(): Promise<void> {
    return this.#graphs.release();
  }
}

/** Later positions do not reach earlier ones, so any filler will do. */
function padded(values: readonly number[], length: number): Int32Array<ArrayBuffer> {
  const result = new Int32Array(length);
  result.set(values);
  return result;
}
