import type { LoadedTask } from "../trainer/eval/load_task.ts";

/** Bytes of UTF-8 that make a token: of English more, of other languages about one character. */
const BYTES_PER_TOKEN = 3;

/** Tokens of the longest text of a task with its answer, about: the model's tokenizer is not known yet. */
export function longestText({ task, questions, prompt }: LoadedTask): number {
  const encoder = new TextEncoder();
  const tokens = (text: string) => Math.ceil(encoder.encode(text).length / BYTES_PER_TOKEN);
  return questions.reduce((longest, question) => {
    const answers = task.freeAnswer === undefined
      ? question.choices.map(tokens)
      : [task.freeAnswer.maxNewTokens];
    return Math.max(longest, tokens(prompt(question)) + Math.max(0, ...answers));
  }, 0);
}
