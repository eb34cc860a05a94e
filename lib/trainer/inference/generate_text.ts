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
  const { tokenizer } = model;
  const ids = tokenizer.encode(prompt);
  const promptTokens = ids.length;
  let text = "";
  // Tokens from `shown` on are not text yet. They are decoded behind those from `before` on, because
  // some tokenizers treat the first token of a text differently.
  let before = 0;
  let shown = promptTokens;
  const show = (final: boolean) => {
    const known = tokenizer.decode(ids.slice(before, shown));
    const all = tokenizer.decode(ids.slice(before));
    if (all.length <= known.length || (all.endsWith("\uFFFD") && !final)) return;
    text += all.slice(known.length);
    onText?.(all.slice(known.length));
    before = shown;
    shown = ids.length;
  };
  for await (const token of model.generate(tokenizer.encode(prompt), options)) {
    ids.push(token);
    show(false);
  }
  show(true);
  return { text, tokens: ids.length - promptTokens };
}
