/** Use of a model beside its training; compiled when first needed. Reads the weights, never writes them. */
import { type AbortFlag, isRaised } from "../abort_flag.ts";
import type { Model } from "../model/model_directory.ts";
import type { OnnxRuntime } from "../runtime/onnx_runtime.ts";
import { Scorer } from "./scorer.ts";
import type { TextOptions } from "./text_graphs.ts";
import { TokenGenerator, type TokenOptions } from "./token_generator.ts";

export class Inference {
  readonly #scorer: Scorer;
  readonly #generator: TokenGenerator;

  constructor(ort: OnnxRuntime, model: Model, options: TextOptions) {
    this.#scorer = new Scorer(ort, model, options);
    this.#generator = new TokenGenerator(ort, model, options);
  }

  /** See {@linkcode Scorer.score}. */
  score(tokens: readonly number[], count: number): Promise<Float32Array> {
    return this.#scorer.score(tokens, count);
  }

  /** All tokens of {@linkcode TokenGenerator.generate}. */
  async generate(
    prompt: readonly number[],
    options: TokenOptions,
    abort?: AbortFlag,
  ): Promise<number[]> {
    const made: number[] = [];
    const isAborted = () => abort !== undefined && isRaised(abort);
    for await (const token of this.#generator.generate(prompt, options, isAborted)) {
      made.push(token);
    }
    return made;
  }

  /** See {@linkcode TokenGenerator.forget}. */
  weightsChanged(): void {
    this.#generator.forget();
  }

  async release(): Promise<void> {
    await this.#scorer.release();
    await this.#generator.release();
  }
}
