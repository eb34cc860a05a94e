/** MMLU Pro: the model thinks in words and names one of up to ten options; section 7. */
import { type EvalTask, letteredOptions, LETTERS } from "./eval_task.ts";
import { Row } from "./eval_row.ts";

const CUE = "Answer: Let's think step by step.";

/** Worked examples of the data set begin with a cue of their own. */
const OWN_CUE = /^\s*(A:)?\s*(Let's think step by step\.)?\s*/;

/** The last letter that the text calls the answer. */
export function namedLetter(text: string): number {
  const letter = [...text.matchAll(/answer is \(?([A-J])\)?/g)].at(-1)?.[1];
  return letter === undefined ? -1 : LETTERS.indexOf(letter);
}

export const MMLU_PRO: EvalTask = {
  name: "mmlu_pro",
  dataset: "TIGER-Lab/MMLU-Pro",
  subsets: [],
  split: "test",
  fewShotSplit: "validation",
  metric: "acc",
  unconditional: false,
  firstExamples: false,
  shots: 5,
  reportedFrom: 0.1,
  freeAnswer: { maxNewTokens: 1024, stop: "Question:", chosen: namedLetter },
  read(values) {
    const row = new Row(values);
    const options = row.texts("options").slice(0, LETTERS.length);
    return {
      preamble:
        `These are multiple choice questions about ${row.text("category")}, each with its ` +
        `answer. Reason step by step and end with "the answer is (X)", X being the letter of the ` +
        "right option.\n\n",
      context: `Question: ${row.text("question").trim()}\nOptions:\n${
        letteredOptions(options)
      }${CUE}`,
      choices: options.map((_, i) => LETTERS[i]),
      answer: row.index("answer_index", options.length),
      solution: row.text("cot_content").replace(OWN_CUE, "").trim(),
    };
  },
};
