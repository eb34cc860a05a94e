/** Text as it is generated, piece by piece. */
import type { GenerateOptions, LanguageModel } from "./language_model.ts";

export interface GeneratedText {
  /** What follows the prompt. */
  text: string;
  tokens: number;
}

/**
 * Continues a text; an empty prompt cannot be continued.
 *
 * @param options.onText gets the text in pieces; a character that needs several tokens comes whole
 */
export async function generateText(
  model: Pick<LanguageModel, "tokenizer" | "generate">,
  prompt: string,
  { onText, ...options }: GenerateOptions & { onText?: (piece: string) => void },
): Promise<GeneratedText> {
  const ids = model.tokenizer.encode(prompt);
  const before = model.tokenizer.decode(ids);
  const all = [...ids];
  let shown = before.length;
  for await (const token of model.generate(ids, options)) {
    all.push(token);
    // Decoded with what stands before: some tokenizers treat the first token of a text differently.
    const text = model.tokenizer.decode(all);
    if (text.endsWith("\uFFFD")) continue;
    onText?.(text.slice(shown));
    shown = Math.max(shown, text.length);
  }
  const text = model.tokenizer.decode(all);
  if (text.length > shown) onText?.(text.slice(shown));
  return { text: text.slice(before.length), tokens: all.length - ids.length };
}
