import assert from "node:assert/strict";
import { join } from "node:path";
import { findTasks, TASK_NAMES } from "./eval_tasks.ts";
import type { Tokenizer } from "../tokenizer/tokenizer.ts";
import type { EvalModel } from "./eval_model.ts";
import { evaluateTask } from "./evaluate_task.ts";
import { loadTask } from "./load_task.ts";
import { logLikelihood } from "./score_question.ts";

const QUESTIONS = join(import.meta.dirname!, "../../../tests/trainer/fixtures/parquet/questions");

/** One token a character. */
const tokenizer: Tokenizer = {
  vocabSize: 0x110000,
  encode: (text) => [...text].map((c) => c.codePointAt(0)!),
  decode: (ids) => String.fromCodePoint(...ids),
  idOf: () => undefined,
};

/** Every character's log-probability is given by a function of the text. */
function model(logProbability: (text: string, at: number) => number) {
  const asked: string[] = [];
  const scoring: EvalModel = {
    tokenizer,
    maxPositions: 1000,
    score(tokens, count) {
      assert.equal(tokens[0], 1);
      const text = String.fromCodePoint(...tokens.slice(1));
      asked.push(text);
      const start = text.length - count;
      const found = Float32Array.from({ length: count }, (_, i) => logProbability(text, start + i));
      return Promise.resolve(found);
    },
    generate: () => Promise.reject(new Error("nothing is to be written")),
  };
  return { scoring, asked };
}

async function withRows(
  task: string,
  files: Record<string, object[]>,
  use: (directory: string) => Promise<void>,
) {
  const directory = await Deno.makeTempDir();
  try {
    for (const [name, rows] of Object.entries(files)) {
      const text = rows.map((row) => JSON.stringify(row)).join("\n");
      await Deno.writeTextFile(join(directory, `${name}.jsonl`), text);
    }
    await use(directory);
  } finally {
    await Deno.remove(directory, { recursive: true });
    assert.ok(TASK_NAMES.includes(task));
  }
}

Deno.test("the tokens beyond the context are scored, after the begin token", async () => {
  const { scoring, asked } = model((text, at) => -text.charCodeAt(at));
  assert.equal(await logLikelihood(scoring, "ab", "c"), -(32 + 99));
  assert.deepEqual(asked, ["ab c"]);
});

Deno.test("accuracy, per byte and against the choice alone can differ", async () => {
  const rows = [{ goal: "G", sol1: "aaaa", sol2: "b", label: 0 }];
  // After "G": a costs 1 each, b 2, the space 0. Alone: a costs 3 each, b 1.
  const { scoring } = model((text, at) => {
    const given = text.includes("G");
    if (text[at] === " ") return 0;
    return text[at] === "a" ? (given ? -1 : -3) : (given ? -2 : -1);
  });
  await withRows("piqa", { validation: rows }, async (directory) => {
    const result = await evaluateTask(scoring, await loadTask(findTasks("piqa")[0], { directory }));
    // Sums -4 and -2; per byte -1 and -2; gains 8 and -1.
    assert.deepEqual(result.metrics, { acc: 0, acc_norm: 1, acc_uncond: 1 });
    assert.deepEqual([result.metric, result.value, result.documents], ["acc_norm", 1, 1]);
  });
});

const CASES: [task: string, row: object, prompts: string[]][] = [
  [
    "boolq",
    { passage: "P.", question: "is it", label: 1 },
    ["P.\nQuestion: is it?\nAnswer: no", "P.\nQuestion: is it?\nAnswer: yes"],
  ],
  [
    "openbookqa",
    {
      question_stem: "Sun is",
      choices: { text: ["hot", "wet"], label: ["A", "B"] },
      answerKey: "A",
    },
    ["Sun is hot", "Sun is wet"],
  ],
  [
    "hellaswag",
    {
      activity_label: "Cooking",
      ctx_a: "A man [header] cooks.",
      ctx_b: "then he",
      endings: ["eats.", "[step] sleeps  well."],
      label: "0",
    },
    ["Cooking: A man cooks. Then he eats.", "Cooking: A man cooks. Then he sleeps well."],
  ],
  [
    "mmlu",
    { question: "2+2?", subject: "abstract_algebra", choices: ["3", "4"], answer: 1 },
    ["A", "B"].map((letter) =>
      "The following are multiple choice questions (with answers) about abstract algebra.\n\n" +
      `2+2?\nA. 3\nB. 4\nAnswer: ${letter}`
    ),
  ],
];

for (const [name, row, prompts] of CASES) {
  Deno.test(`what is asked: ${name}`, async () => {
    const [task] = findTasks(name);
    await withRows(name, { [task.split]: [row] }, async (directory) => {
      const { scoring, asked } = model(() => -1);
      await evaluateTask(scoring, await loadTask(task, { directory }));
      assert.deepEqual(asked, prompts);
    });
  });
}

Deno.test("solved examples of the same kind come first, the same ones for the same seed", async () => {
  const row = (n: number) => ({ passage: `P${n}`, question: "q", label: n % 2 });
  const files = { validation: [row(9)], train: [0, 1, 2, 3, 4, 5].map(row) };
  await withRows("boolq", files, async (directory) => {
    const prompt = async (seed: number) => {
      const { scoring, asked } = model(() => -1);
      const loaded = await loadTask(findTasks("boolq")[0], { directory, shots: 2, seed });
      await evaluateTask(scoring, loaded);
      return asked[0];
    };
    const first = await prompt(42);
    assert.match(
      first,
      /^(P[0-5]\nQuestion: q\?\nAnswer: (no|yes)\n\n){2}P9\nQuestion: q\?\nAnswer: no$/,
    );
    assert.equal(await prompt(42), first);
    const others = await Promise.all([1, 2, 3, 4].map(prompt));
    assert.ok(others.some((other) => other !== first));
  });
});

Deno.test("parquet as the Hub has it is read, up to the document limit", async () => {
  const { scoring } = model((text) => text.endsWith(" are small") ? 0 : -1);
  const [task] = findTasks("ARC-Easy");
  const directory = join(QUESTIONS, "arc_easy");
  const all = await evaluateTask(scoring, await loadTask(task, { directory }));
  assert.deepEqual([all.documents, all.metrics.acc], [2, 0.5]);
  const seen: number[][] = [];
  const first = await loadTask(task, { directory, maxDocuments: 1, shots: 1 });
  const one = await evaluateTask(scoring, first, {
    onProgress: (done, total) => seen.push([done, total]),
  });
  assert.deepEqual([one.documents, one.metrics.acc], [1, 0]);
  assert.deepEqual(seen, [[1, 1]]);
  const { scoring: likesThree } = model((text) => text.endsWith("C") ? 0 : -1);
  const knowledge = await loadTask(findTasks("mmlu")[0], { directory: join(QUESTIONS, "mmlu") });
  const mmlu = await evaluateTask(likesThree, knowledge);
  assert.equal(mmlu.value, 1);
});

Deno.test("unknown tasks, wrong rows and missing data are refused", async () => {
  for (const name of ["nope", "mmlu__pro"]) {
    assert.throws(() => findTasks(name), { code: "EVAL_TASK_UNKNOWN", exitCode: 2 });
  }
  assert.deepEqual(findTasks("PIQA, arc-challenge,piqa,MMLU Pro").map((t) => t.name), [
    "piqa",
    "arc_challenge",
    "mmlu_pro",
  ]);
  const bad = [{}, { passage: "P", question: "q" }, { passage: "P", question: 3, label: 1 }, {
    passage: "P",
    question: "q",
    label: 2,
  }];
  for (const row of bad) {
    await withRows("boolq", { validation: [row] }, async (directory) => {
      await assert.rejects(loadTask(findTasks("boolq")[0], { directory }), {
        code: "DATA_COLUMN_INVALID",
      });
    });
  }
  await withRows("boolq", { validation: [] }, async (directory) => {
    for (const place of [directory, join(directory, "no")]) {
      await assert.rejects(loadTask(findTasks("boolq")[0], { directory: place }), {
        code: "DATA_UNAVAILABLE",
      });
    }
  });
});
