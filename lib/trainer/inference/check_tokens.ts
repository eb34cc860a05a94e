import { PsycheError } from "../../error.ts";

/** @throws PsycheError `TOKENS_INVALID` naming the first token that is not of the vocabulary */
export function checkTokens(tokens: readonly number[], vocabSize: number): void {
  const outside = tokens.find((token) => !(token >= 0 && token < vocabSize));
  if (outside === undefined) return;
  throw new PsycheError(
    "TOKENS_INVALID",
    `Token ${outside} is outside the vocabulary of ${vocabSize}; use the model's tokenizer.`,
  );
}
