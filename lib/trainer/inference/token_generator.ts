/** Continues texts token by token; the one implementation behind all that generates. */
import { PsycheError } from "../../error.ts";
import type { Model } from "../model/model_directory.ts";
import { seededRandom } from "../random.ts";
import type { OnnxRuntime } from "../runtime/onnx_runtime.ts";
import { checkTokens } from "./check_tokens.ts";
import { Decoder } from "./decoder.ts";
import { notFinite } from "./not_finite.ts";
import { Prefill } from "./prefill.ts";
import { roundUp } from "./round_up.ts";
import { sampleToken } from "./sample_token.ts";
import type { TextOptions } from "./text_graphs.ts";

export interface TokenOptions {
  maxNewTokens: number;
  /** 0 takes the likeliest token each time. Default 0. */
  temperature?: number;
  /** Fixes the draws. Default 0. */
  seed?: number;
}

/** From so many unread tokens on, one pass over the whole text is faster than reading them singly. */
const WORTH_A_PASS = 32;
const LEAST_CAPACITY = 64;

export class TokenGenerator {
  readonly #ort: OnnxRuntime;
  readonly #model: Model;
  readonly #options: TextOptions;
  readonly #prefill: Prefill;
  /** Kept after use: the next text often goes on where this one ended, or begins like it. */
  #idle: Decoder | undefined;

  constructor(ort: OnnxRuntime, model: Model, options: TextOptions) {
    this.#ort = ort;
    this.#model = model;
    this.#options = options;
    this.#prefill = new Prefill(ort, model, options);
  }

  /** The weights are other ones now: what was remembered of texts is wrong. */
  forget(): void {
    this.#idle?.rewind(0);
  }

  /**
   * Continues `prompt` until `maxNewTokens`, an end token (which is not given out), the model's last
   * position, or the abort, which throws nothing. Going on with the prompt and what was made of it
   * costs only the new tokens.
   *
   * @param isAborted asked before every pass through the model, and a pass is all that it can take
   * @throws PsycheError `GENERATE_OPTION_INVALID`, `TOKENS_INVALID`, `MODEL_NOT_FINITE`
   */
  async *generate(
    prompt: readonly number[],
    { maxNewTokens, temperature = 0, seed = 0 }: TokenOptions,
    isAborted: () => boolean = () => false,
  ): AsyncGenerator<number> {
    const { maxPositions, eosTokenIds } = this.#model.config;
    const counts = Number.isSafeInteger(maxNewTokens) && maxNewTokens >= 0;
    if (!counts || !(temperature >= 0) || prompt.length === 0 || prompt.length > maxPositions) {
      throw new PsycheError(
        "GENERATE_OPTION_INVALID",
        `Cannot continue ${prompt.length} tokens by ${maxNewTokens} at temperature ${temperature}; ` +
          `give a prompt of 1 to ${maxPositions} tokens, a count from 0 and a temperature from 0.`,
      );
    }
    checkTokens(prompt, this.#model.config.vocabSize);
    if (maxNewTokens === 0) return;
    const needed = Math.min(maxPositions, prompt.length + maxNewTokens);
    const decoder = await this.#take(needed);
    try {
      let logits = await this.#read(decoder, prompt, isAborted);
      const random = seededRandom(seed);
      for (let made = 1; logits !== null; made++) {
        const token = sampleToken(logits, temperature, random.uniform());
        if (!Number.isFinite(logits[token])) throw notFinite();
        if (eosTokenIds.includes(token)) return;
        yield token;
        if (made === maxNewTokens || prompt.length + made > needed || isAborted()) return;
        logits = await decoder.read(token);
      }
    } finally {
      await this.#giveBack(decoder);
    }
  }

  async release(): Promise<void> {
    const decoder = this.#idle;
    this.#idle = undefined;
    await decoder?.release();
    await this.#prefill.release();
  }

  /** Logits of the token after `prompt`, or null when aborted before. */
  async #read(
    decoder: Decoder,
    prompt: readonly number[],
    isAborted: () => boolean,
  ): Promise<Float32Array | null> {
    const different = prompt.findIndex((token, i) => token !== decoder.tokens[i]);
    // The last token is read again for its logits.
    decoder.rewind(Math.min(different < 0 ? prompt.length : different, prompt.length - 1));
    if (prompt.length - decoder.tokens.length >= WORTH_A_PASS) {
      if (isAborted()) return null;
      const found = await this.#prefill.read(prompt);
      decoder.adopt(prompt, found);
      return found.logits;
    }
    let logits: Float32Array | null = null;
    for (const token of prompt.slice(decoder.tokens.length)) {
      if (isAborted()) return null;
      logits = await decoder.read(token);
    }
    return logits;
  }

  /** A decoder of its own for each text that is being continued. */
  async #take(needed: number): Promise<Decoder> {
    const idle = this.#idle;
    this.#idle = undefined;
    if (idle !== undefined && idle.capacity >= needed) return idle;
    await idle?.release();
    const { maxPositions } = this.#model.config;
    return await Decoder.create(this.#ort, this.#model, {
      capacity: Math.min(maxPositions, roundUp(needed, LEAST_CAPACITY)),
      ...this.#options,
    });
  }

  async #giveBack(decoder: Decoder): Promise<void> {
    await this.#idle?.release();
    this.#idle = decoder;
  }
}
