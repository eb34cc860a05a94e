/** An answer in the model's own words: docs/protocol/training-math.md section 7, MMLU Pro. */
import { beginToken, type EvalModel } from "./eval_model.ts";
import type { FreeAnswer } from "./eval_task.ts";

export type WritingModel = Pick<EvalModel, "generate" | "maxPositions"> & {
  tokenizer: Pick<EvalModel["tokenizer"], "encode" | "decode" | "idOf" | "vocabSize">;
};

/** Tokens between two looks for the text that ends an answer. */
const PIECE = 16;

/**
 * Writes greedily until an end token, the model's last position, `maxNewTokens` or `stop`, which is
 * not part of the answer. A prompt that leaves no room loses tokens at its beginning.
 *
 * @param written tokens so far; goes on after them and adds to them, so that an answer that was
 *   interrupted can be taken up again
 * @returns null when aborted before the answer was complete
 */
export async function writeAnswer(
  model: WritingModel,
  prompt: string,
  { maxNewTokens, stop }: Pick<FreeAnswer, "maxNewTokens" | "stop">,
  written: number[],
  signal?: AbortSignal,
): Promise<string | null> {
  const { tokenizer, maxPositions } = model;
  const room = Math.max(maxPositions - maxNewTokens, Math.floor(maxPositions / 2));
  const read = [beginToken(tokenizer), ...tokenizer.encode(prompt)].slice(-room);
  for (let ended = false;;) {
    const text = tokenizer.decode(written);
    const end = text.indexOf(stop);
    if (end >= 0) return text.slice(0, end);
    const left = Math.min(maxNewTokens, maxPositions - read.length + 1) - written.length;
    if (ended || left <= 0) return text;
    if (signal?.aborted) return null;
    const count = Math.min(PIECE, left);
    const options = { maxNewTokens: count };
    const made = await model.generate([...read, ...written], options, signal);
    written.push(...made);
    ended = made.length < count && !signal?.aborted;
  }
}
