import assert from "node:assert/strict";
import { join } from "node:path";
import { findTasks } from "./eval_tasks.ts";
import { evaluateTask } from "./evaluate_task.ts";
import type { EvalModel } from "./eval_model.ts";
import { loadTask } from "./load_task.ts";
import { namedLetter } from "./mmlu_pro.ts";
import { TaskRun } from "./task_run.ts";
import { writeAnswer } from "./write_answer.ts";

const QUESTIONS = join(import.meta.dirname!, "../../../tests/trainer/fixtures/parquet/questions");
const [PRO] = findTasks("mmlu_pro");

/** One token a character. Says the given texts, whichever the prompts, and stops after each. */
function saying(...texts: string[]) {
  const prompts: string[] = [];
  let said = "";
  const model: EvalModel = {
    maxPositions: 4000,
    tokenizer: {
      vocabSize: 0x110000,
      encode: (text) => [...text].map((c) => c.codePointAt(0)!),
      decode: (ids) => String.fromCodePoint(...ids),
      idOf: (token) => token === "<s>" ? 2 : undefined,
    },
    score: () => Promise.reject(new Error("nothing is to be scored")),
    generate(tokens, { maxNewTokens, temperature = 0 }) {
      assert.equal(temperature, 0);
      const text = String.fromCodePoint(...tokens);
      const last = prompts.at(-1);
      const goesOn = last !== undefined && said !== "" && text === last + said;
      if (!goesOn) {
        prompts.push(text);
        said = "";
      }
      const piece = (texts[prompts.length - 1] ?? "").slice(
        said.length,
        said.length + maxNewTokens,
      );
      said += piece;
      return Promise.resolve([...piece].map((c) => c.codePointAt(0)!));
    },
  };
  return { model, prompts };
}

Deno.test("the last letter named as the answer counts, with or without parentheses", () => {
  const cases: [string, number][] = [
    ["so the answer is (C).", 2],
    ["The answer is J", 9],
    ["the answer is (A)? No, the answer is (B)", 1],
    ["the answer is (K)", -1],
    ["the answer is unknown", -1],
    ["", -1],
  ];
  for (const [text, letter] of cases) assert.equal(namedLetter(text), letter, text);
});

Deno.test("MMLU Pro as the Hub has it: a worked example of the category, then the question", async () => {
  const { model, prompts } = saying("Dogs do that. The answer is (A).");
  const directory = join(QUESTIONS, "mmlu_pro");
  const result = await evaluateTask(model, await loadTask(PRO, { directory }));
  assert.deepEqual([result.documents, result.value], [1, 1]);
  const [prompt] = prompts;
  assert.equal(prompt.codePointAt(0), 2);
  assert.match(prompt, /about biology.*"the answer is \(X\)"/);
  const options = "Options:\nA. a dog\nB. a cat\nC. a cow\nAnswer: Let's think step by step.";
  assert.ok(prompt.endsWith(
    `\n\nQuestion: What says meow?\n${options} Cats say meow. The answer is (B).\n\n` +
      `Question: What says woof?\n${options}`,
  ));
  const unsolved = await loadTask(PRO, { directory, shots: 0 });
  const none = await evaluateTask(saying("I do not know").model, unsolved);
  assert.equal(none.value, 0);
});

Deno.test("CEval as the Hub has it: the subject comes from the directory", async () => {
  const ceval = { ...findTasks("ceval_valid")[0], subsets: ["law"] };
  const asked: string[] = [];
  const { tokenizer } = saying().model;
  const model: EvalModel = {
    ...saying().model,
    tokenizer,
    score(tokens, count) {
      const text = String.fromCodePoint(...tokens.slice(1));
      asked.push(text);
      assert.equal(count, 2);
      return Promise.resolve(new Float32Array(count).fill(text.endsWith("A") ? -1 : -2));
    },
  };
  const directory = join(QUESTIONS, "ceval_valid");
  const result = await evaluateTask(model, await loadTask(ceval, { directory, shots: 1 }));
  assert.deepEqual([result.metric, result.value, result.documents], ["acc", 1, 1]);
  assert.match(asked[0], /^下面是法学科目/);
  const options = "A. 动物\nB. 植物\nC. 液体\nD. 机器\n答案：";
  assert.ok(asked[0].endsWith(`水是什么？\n${options} C\n\n猫是什么？\n${options} A`), asked[0]);
  const whole = findTasks("ceval_valid")[0];
  assert.equal(whole.subsets.length, 52);
  // All subjects or none: a part of them would be another measure.
  await assert.rejects(loadTask(whole, { directory }), { code: "DATA_UNAVAILABLE" });
});

Deno.test("writing stops at the next question, at an end token and when there is no room", async () => {
  const options = { maxNewTokens: 40, stop: "Question:" };
  const write = (text: string, more: Partial<EvalModel> = {}) =>
    writeAnswer({ ...saying(text).model, ...more }, "P", options, []);
  assert.equal(await write("yes.\n\nQuestion: what else? and so on"), "yes.\n\n");
  assert.equal(await write("short"), "short");
  assert.equal(await write("x".repeat(99)), "x".repeat(40));
  // Ten positions hold the begin token and the prompt's end; the last token is not read.
  assert.equal((await write("y".repeat(99), { maxPositions: 10 }))!.length, 9);
});

Deno.test("a prompt that is too long loses its beginning", async () => {
  const { model, prompts } = saying("ok");
  model.maxPositions = 100;
  await writeAnswer(model, "a".repeat(70) + "b".repeat(50), { maxNewTokens: 1024, stop: "?" }, []);
  assert.equal(prompts[0], "b".repeat(50));
});

Deno.test("an interrupted answer goes on where it stopped, and the averages run on", async () => {
  const directory = await Deno.makeTempDir();
  try {
    const row = (answer: number) => ({
      question: "q",
      options: ["x", "y"],
      answer_index: answer,
      category: "c",
      cot_content: "",
    });
    const lines = [0, 1, 0].map((answer) => JSON.stringify(row(answer)));
    await Deno.writeTextFile(join(directory, "test.jsonl"), lines.join("\n"));
    const long = `${"thinking ".repeat(8)}the answer is (A)`;
    const { model, prompts } = saying(long, "the answer is A", "nothing", "the answer is (B)");
    const run = new TaskRun(await loadTask(PRO, { directory, shots: 0 }));
    assert.deepEqual([run.value, run.total], [null, 3]);
    let passes = 0;
    let stop = new AbortController();
    const interrupted: EvalModel = {
      ...model,
      async generate(...values) {
        const made = await model.generate(...values);
        if (++passes === 2) stop.abort();
        return made;
      },
    };
    assert.equal(await run.next(interrupted, stop.signal), false);
    assert.equal(run.documents, 0);
    stop = new AbortController();
    assert.equal(await run.next(interrupted, stop.signal), true);
    assert.equal(prompts.length, 1);
    assert.deepEqual([run.documents, run.value], [1, 1]);
    await run.next(model);
    await run.next(model);
    assert.deepEqual([run.documents, run.value], [3, 1 / 3]);
    // The first one again: its new verdict replaces the old one.
    await run.next(model);
    assert.deepEqual([run.documents, run.value], [3, 0]);
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
});
