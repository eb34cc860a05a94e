/** A model directory opened for use rather than for training: text in, text and likelihoods out. */
import { PsycheError } from "../../error.ts";
import { freeMemory } from "../memory_estimate.ts";
import { parameterShapes, parseLlamaConfig } from "../model/llama_config.ts";
import { type Model, readConfigText, readModelDirectory } from "../model/model_directory.ts";
import { loadOnnxRuntime, type OnnxRuntime } from "../runtime/onnx_runtime.ts";
import { loadTokenizer, type Tokenizer } from "../tokenizer/tokenizer.ts";
import { Scorer } from "./scorer.ts";
import { TokenGenerator, type TokenOptions } from "./token_generator.ts";

export interface GenerateOptions extends TokenOptions {
  signal?: AbortSignal;
}

export class LanguageModel {
  readonly tokenizer: Tokenizer;
  readonly #model: Model;
  readonly #scorer: Scorer;
  readonly #generator: TokenGenerator;

  private constructor(ort: OnnxRuntime, model: Model, tokenizer: Tokenizer, threads: number) {
    this.tokenizer = tokenizer;
    this.#model = model;
    this.#scorer = new Scorer(ort, model, { threads });
    this.#generator = new TokenGenerator(ort, model, { threads });
  }

  /**
   * @param options.threads of the runtime
   * @param options.memoryLimit bytes that the weights may take; default: what is free
   * @throws PsycheError `MODEL_TOO_LARGE`, `TOKENIZER_INVALID`, `TOKENIZER_MISSING`, and the errors of
   * `readModelDirectory`
   */
  static async open(
    directory: string,
    { threads, memoryLimit = freeMemory() }: { threads: number; memoryLimit?: number },
  ): Promise<LanguageModel> {
    const shapes = parameterShapes(parseLlamaConfig(await readConfigText(directory)));
    const bytes = 4 * shapes.reduce((sum, { shape }) => sum + shape.reduce((a, b) => a * b, 1), 0);
    if (bytes > memoryLimit) {
      throw new PsycheError(
        "MODEL_TOO_LARGE",
        `The weights in ${directory} take ${(bytes / 1e9).toFixed(1)} GB of memory as fp32, but ${
          (memoryLimit / 1e9).toFixed(1)
        } GB are free; use a larger machine or a smaller model.`,
      );
    }
    const model = await readModelDirectory(directory);
    if (model.files.tokenizer === null) {
      throw new PsycheError(
        "TOKENIZER_MISSING",
        `${directory} holds no tokenizer.json; put the one of the model's training data there.`,
      );
    }
    const tokenizer = loadTokenizer(model.files.tokenizer);
    return new LanguageModel(await loadOnnxRuntime(), model, tokenizer, threads);
  }

  get vocabSize(): number {
    return this.#model.config.vocabSize;
  }

  /** Most tokens of a text with its continuation. */
  get maxPositions(): number {
    return this.#model.config.maxPositions;
  }

  /** See {@linkcode Scorer.score}. */
  score(tokens: readonly number[], count: number): Promise<Float32Array> {
    return this.#scorer.score(tokens, count);
  }

  /** See {@linkcode TokenGenerator.generate}. */
  generate(
    prompt: readonly number[],
    { signal, ...options }: GenerateOptions,
  ): AsyncGenerator<number> {
    return this.#generator.generate(prompt, options, () => signal?.aborted ?? false);
  }

  async close(): Promise<void> {
    await this.#generator.release();
    await this.#scorer.release();
  }
}
