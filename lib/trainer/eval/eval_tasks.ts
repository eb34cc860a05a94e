/** The tasks by name: docs/protocol/training-math.md section 7. */
import { PsycheError } from "../../error.ts";
import { CEVAL_VALID } from "./ceval.ts";
import { Row } from "./eval_row.ts";
import {
  type EvalTask,
  letteredOptions,
  LETTERS,
  plainTaskName,
  type Question,
} from "./eval_task.ts";
import { MMLU_PRO } from "./mmlu_pro.ts";

type Reader = (row: Row) => Omit<Question, "preamble" | "solution"> & { preamble?: string };

/** A task that offers choices. */
function task(
  name: string,
  place: [dataset: string, subset: string | undefined, split: string, fewShotSplit: string],
  settings: Pick<EvalTask, "metric"> & Partial<Pick<EvalTask, "unconditional" | "firstExamples">>,
  read: Reader,
): EvalTask {
  const [dataset, subset, split, fewShotSplit] = place;
  return {
    name,
    dataset,
    subsets: subset === undefined ? [] : [subset],
    split,
    fewShotSplit,
    unconditional: false,
    firstExamples: false,
    shots: 0,
    reportedFrom: 0.5,
    ...settings,
    read(row) {
      const found = read(new Row(row));
      return { preamble: "", ...found, solution: found.choices[found.answer] };
    },
  };
}

const question = (text: string) => `Question: ${text}\nAnswer:`;

const arc: Reader = (row) => {
  const { texts, labels } = row.labelled("choices");
  return { context: question(row.text("question")), ...byKey(row, texts, labels) };
};

function byKey(row: Row, choices: string[], labels: string[]) {
  // The key is compared as it is: some rows count in letters, some in numbers.
  return { choices, answer: row.oneOf("answerKey", labels) };
}

function mmluPreamble(row: Row): string {
  const subject = row.text("subject").replaceAll("_", " ");
  return `The following are multiple choice questions (with answers) about ${subject}.\n\n`;
}

/** Without the tags that a part of the texts carries. */
function cleaned(text: string): string {
  return text.replace(/\[.*?\]/g, "").replace(/ {2,}/g, " ").trim();
}

const ALL: EvalTask[] = [
  CEVAL_VALID,
  MMLU_PRO,
  ...(["Easy", "Challenge"] as const).map((kind) =>
    task(
      `arc_${kind.toLowerCase()}`,
      ["allenai/ai2_arc", `ARC-${kind}`, "test", "train"],
      { metric: "acc_norm", unconditional: true, firstExamples: true },
      arc,
    )
  ),
  task("boolq", ["aps/super_glue", "boolq", "validation", "train"], { metric: "acc" }, (row) => ({
    context: `${row.text("passage")}\nQuestion: ${row.text("question")}?\nAnswer:`,
    choices: ["no", "yes"],
    answer: row.index("label", 2),
  })),
  task(
    "hellaswag",
    ["Rowan/hellaswag", undefined, "validation", "train"],
    { metric: "acc_norm" },
    (row) => {
      const choices = row.texts("endings").map(cleaned);
      const b = row.text("ctx_b");
      const text = `${row.text("ctx_a")} ${b.slice(0, 1).toUpperCase()}${b.slice(1)}`;
      return {
        context: cleaned(`${row.text("activity_label")}: ${text}`),
        choices,
        answer: row.index("label", choices.length),
      };
    },
  ),
  task(
    "mmlu",
    ["cais/mmlu", "all", "test", "dev"],
    { metric: "acc", firstExamples: true },
    (row) => {
      const texts = row.texts("choices").slice(0, LETTERS.length);
      return {
        preamble: mmluPreamble(row),
        context: `${row.text("question").trim()}\n${letteredOptions(texts)}Answer:`,
        choices: texts.map((_, i) => LETTERS[i]),
        answer: row.index("answer", texts.length),
      };
    },
  ),
  task(
    "mmlu_cf",
    ["cais/mmlu", "all", "test", "validation"],
    { metric: "acc_norm", unconditional: true, firstExamples: true },
    (row) => {
      const choices = row.texts("choices");
      return {
        preamble: mmluPreamble(row),
        context: question(row.text("question").trim()),
        choices,
        answer: row.index("answer", choices.length),
      };
    },
  ),
  task(
    "openbookqa",
    ["allenai/openbookqa", "main", "test", "validation"],
    { metric: "acc_norm" },
    (row) => {
      const { texts, labels } = row.labelled("choices");
      return { context: row.text("question_stem"), ...byKey(row, texts, labels) };
    },
  ),
  task(
    "piqa",
    ["ybisk/piqa", undefined, "validation", "train"],
    { metric: "acc_norm", unconditional: true },
    (row) => ({
      context: question(row.text("goal")),
      choices: [row.text("sol1"), row.text("sol2")],
      answer: row.index("label", 2),
    }),
  ),
];

/** Names that {@linkcode findTasks} knows. */
export const TASK_NAMES: readonly string[] = ALL.map(({ name }) => name).sort();

/**
 * Tasks of a comma-separated list; case and punctuation do not matter.
 *
 * @throws PsycheError `EVAL_TASK_UNKNOWN`, exit code 2
 */
export function findTasks(list: string): EvalTask[] {
  const names = list.split(",").map((name) => name.trim()).filter((name) => name !== "");
  const found = names.map((name) => {
    const task = ALL.find((task) => task.name === plainTaskName(name));
    if (task !== undefined) return task;
    throw new PsycheError(
      "EVAL_TASK_UNKNOWN",
      `The evaluation task "${name}" is unknown; choose among ${TASK_NAMES.join(", ")}.`,
      { exitCode: 2 },
    );
  });
  return [...new Set(found)];
}
