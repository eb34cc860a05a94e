/** A model directory opened for use rather than for training: text in, text and likelihoods out. */
import { PsycheError } from "../../error.ts";
import { freeMemory } from "../memory_estimate.ts";
import { parameterShapes, parseLlamaConfig } from "../model/llama_config.ts";
import { type Model, readConfigText, readModelDirectory } from "../model/model_directory.ts";
import { seededRandom } from "../random.ts";
import { loadOnnxRuntime, type OnnxRuntime } from "../runtime/onnx_runtime.ts";
import { loadTokenizer, type Tokenizer } from "../tokenizer/tokenizer.ts";
import { Decoder } from "./decoder.ts";
import { sampleToken } from "./sample_token.ts";
import { Scorer } from "./scorer.ts";

export interface GenerateOptions {
  maxNewTokens: number;
  /** 0 takes the likeliest token each time. Default 0. */
  temperature?: number;
  /** Fixes the draws. Default 0. */
  seed?: number;
  signal?: AbortSignal;
}

export class LanguageModel {
  readonly tokenizer: Tokenizer;
  readonly #ort: OnnxRuntime;
  readonly #model: Model;
  readonly #threads: number;
  readonly #scorer: Scorer;

  private constructor(ort: OnnxRuntime, model: Model, tokenizer: Tokenizer, threads: number) {
    this.tokenizer = tokenizer;
    this.#ort = ort;
    this.#model = model;
    this.#threads = threads;
    this.#scorer = new Scorer(ort, model, { threads });
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

  /**
   * Continues `prompt` token by token until `maxNewTokens`, an end token (which is not given out), the
   * model's last position, or the abort (which throws nothing).
   *
   * @throws PsycheError `GENERATE_OPTION_INVALID`, `TOKENS_INVALID`
   */
  async *generate(
    prompt: readonly number[],
    { maxNewTokens, temperature = 0, seed = 0, signal }: GenerateOptions,
  ): AsyncGenerator<number> {
    const counts = Number.isSafeInteger(maxNewTokens) && maxNewTokens >= 0;
    if (
      !counts || !(temperature >= 0) || prompt.length === 0 || prompt.length > this.maxPositions
    ) {
      throw new PsycheError(
        "GENERATE_OPTION_INVALID",
        `Cannot continue ${prompt.length} tokens by ${maxNewTokens} at temperature ${temperature}; ` +
          `give a prompt of 1 to ${this.maxPositions} tokens, a count from 0 and a temperature from 0.`,
      );
    }
    const capacity = Math.min(this.maxPositions, prompt.length + maxNewTokens);
    const decoder = await Decoder.create(this.#ort, this.#model, {
      capacity,
      threads: this.#threads,
    });
    try {
      const random = seededRandom(seed);
      let logits = new Float32Array(0);
      for (const token of prompt) {
        if (signal?.aborted) return;
        logits = new Float32Array(await decoder.read(token));
      }
      for (let made = 0; made < maxNewTokens && !signal?.aborted; made++) {
        const token = sampleToken(logits, temperature, random.uniform());
        if (this.#model.config.eosTokenIds.includes(token)) return;
        yield token;
        if (prompt.length + made >= capacity) return;
        if (made + 1 < maxNewTokens) logits = new Float32Array(await decoder.read(token));
      }
    } finally {
      await decoder.release();
    }
  }

  async close(): Promise<void> {
    await this.#scorer.release();
  }
}
