/** A model as evaluation sees it, whether it is being trained or not. */
import type { LanguageModel } from "../inference/language_model.ts";
import type { TokenOptions } from "../inference/token_generator.ts";
import { parseLlamaConfig } from "../model/llama_config.ts";
import { loadTokenizer, type Tokenizer } from "../tokenizer/tokenizer.ts";
import type { Trainer } from "../trainer.ts";

export interface EvalModel {
  tokenizer: Tokenizer;
  /** Most tokens that it can read. */
  maxPositions: number;
  /** Log-probability of each of the last `count` tokens; takes one pass through the model. */
  score(tokens: readonly number[], count: number): Promise<Float32Array>;
  /** New tokens, fewer than asked for at the text's end or within a pass of the abort. */
  generate(
    prompt: readonly number[],
    options: TokenOptions,
    signal?: AbortSignal,
  ): Promise<number[]>;
}

export function evalModelOf(model: LanguageModel): EvalModel {
  return {
    tokenizer: model.tokenizer,
    maxPositions: model.maxPositions,
    score: (tokens, count) => model.score(tokens, count),
    generate: (prompt, options, signal) =>
      Array.fromAsync(model.generate(prompt, { ...options, signal })),
  };
}

/**
 * A trainer's model, or null when it has no tokenizer.
 *
 * @throws PsycheError `TOKENIZER_INVALID`
 */
export function evalModelOfTrainer(trainer: Trainer): EvalModel | null {
  const { config, tokenizer } = trainer.files;
  if (tokenizer === null) return null;
  return {
    tokenizer: loadTokenizer(tokenizer),
    maxPositions: parseLlamaConfig(config).maxPositions,
    score: (tokens, count) => trainer.score(tokens, count),
    generate: (prompt, options, signal) => trainer.generate(prompt, options, signal),
  };
}

/** Every request begins with the id of `<s>`, or 1; docs/protocol/training-math.md section 7. */
export function beginToken(tokenizer: Pick<Tokenizer, "idOf">): number {
  return tokenizer.idOf("<s>") ?? 1;
}
