/** A text that the model in training goes on with: docs/protocol/training-math.md section 7. */
import type { EvalModel } from "../trainer/eval/eval_model.ts";

/** Their places are on chain (`prompt_index`): add at the end only, 256 at most. */
export const PROMPTS: readonly string[] = [
  "Once upon a time, in a village between two rivers,",
  "The three most important things about water are",
  "To bake a simple loaf of bread, first",
  "The capital of France is",
  "When the lights went out, everybody in the house",
  "A short history of the bicycle:",
  "The economy of the country depends on",
  "Dear neighbour, I am writing to you because",
  "The experiment showed that plants",
  "In mathematics, a prime number is",
  "She opened the old box and found",
  "The best way to learn a new language is",
  "Far above the clouds, the pilot noticed",
  "A computer program is a list of",
  "The climate in the north is",
  "My grandmother always said that",
];

/** Most tokens of one continuation, and how sharply they are drawn. */
const MAX_TOKENS = 256;
const TEMPERATURE = 0.6;
/** Tokens of a prompt with its continuation, about. */
export const LONGEST_PROMPT = 32 + MAX_TOKENS;
/** Tokens that one witness message can carry. */
const BUFFER = 16;

export interface PromptReport {
  promptIndex: number;
  promptResults: number[];
}

export interface FinishedPrompt {
  index: number;
  prompt: string;
  continuation: string;
  tokens: number;
}

/** Writes on while there is time, never more than the next witness message can take along. */
export class PromptTask {
  readonly #random: () => number;
  #index = 0;
  #tokens: number[] = [];
  /** How many of the tokens no witness message has taken yet; they are the last ones. */
  #unsent = 0;
  #running = false;

  /** @param random uniform in [0, 1) */
  constructor(random: () => number = Math.random) {
    this.#random = random;
  }

  /** Goes on until the buffer is full or `signal` aborts; returns the text when it is complete. */
  async goOn(model: EvalModel, signal: AbortSignal): Promise<FinishedPrompt | null> {
    const { tokenizer, maxPositions } = model;
    if (!this.#running) {
      // Tokens that wait belong to the prompt whose place is sent with them.
      if (this.#unsent > 0) return null;
      this.#index = this.#below(PROMPTS.length);
      this.#tokens = [];
      this.#running = true;
    }
    const read = tokenizer.encode(PROMPTS[this.#index]);
    const room = Math.min(MAX_TOKENS, maxPositions - read.length) - this.#tokens.length;
    const count = Math.min(BUFFER - this.#unsent, room);
    if (count === 0 && room > 0) return null;
    const made = count <= 0 ? [] : await model.generate(
      [...read, ...this.#tokens],
      { maxNewTokens: count, temperature: TEMPERATURE, seed: this.#below(2 ** 32) },
      signal,
    );
    this.#tokens.push(...made);
    this.#unsent += made.length;
    const ended = made.length >= room || made.length < count && !signal.aborted;
    if (!ended) return null;
    this.#running = false;
    return {
      index: this.#index,
      prompt: PROMPTS[this.#index],
      continuation: tokenizer.decode(this.#tokens),
      tokens: this.#tokens.length,
    };
  }

  /** What a witness message carries; the buffer is empty afterwards. */
  take(): PromptReport {
    const promptResults = this.#unsent === 0 ? [] : this.#tokens.slice(-this.#unsent);
    this.#unsent = 0;
    return { promptIndex: this.#index, promptResults };
  }

  #below(count: number): number {
    return Math.floor(this.#random() * count);
  }
}
