import assert from "node:assert/strict";
import { PsycheError } from "../error.ts";
import type { ClientEvent } from "../events/event.ts";
import { findTasks } from "../trainer/eval/eval_tasks.ts";
import type { Question } from "../trainer/eval/eval_task.ts";
import type { LoadedTask } from "../trainer/eval/load_task.ts";
import { formatLlamaConfig, nanoConfig } from "../trainer/model/llama_config.ts";
import { bpeTokenizerJson } from "../trainer/tokenizer/bpe_model.ts";
import { loadTokenizer } from "../trainer/tokenizer/tokenizer.ts";
import { trainBpe } from "../trainer/tokenizer/train_bpe.ts";
import type { Trainer } from "../trainer/trainer.ts";
import { IdleEvaluation } from "./idle_evaluation.ts";
import { PROMPTS, PromptTask } from "./prompt_task.ts";

const TOKENIZER = bpeTokenizerJson(trainBpe("the cat sat ".repeat(9), 300));
const tokenizer = loadTokenizer(TOKENIZER);

/** What idle work uses of a trainer; each pass is told, and may be held up. */
function fakeTrainer(options: { pass?: (text: string) => Promise<void>; tokens?: number } = {}) {
  const passes: string[] = [];
  const pass = async (tokens: readonly number[]) => {
    const text = tokenizer.decode(tokens);
    passes.push(text);
    await options.pass?.(text);
  };
  const trainer = {
    files: { config: formatLlamaConfig(nanoConfig(300)), tokenizer: TOKENIZER },
    async score(tokens: readonly number[], count: number) {
      await pass(tokens.slice(1));
      // The first choice is always the likeliest.
      return new Float32Array(count).fill(tokenizer.decode(tokens).endsWith("yes") ? 0 : -1);
    },
    async generate(prompt: readonly number[], { maxNewTokens }: { maxNewTokens: number }) {
      await pass(prompt);
      return Array.from({ length: Math.min(maxNewTokens, options.tokens ?? Infinity) }, () => 5);
    },
  } as unknown as Trainer;
  return { trainer, passes };
}

/** Documents whose two choices take a pass each; the right one is the first where `rights` says so. */
function loaded(name: string, rights: boolean[]): LoadedTask {
  const questions = rights.map((right, i): Question => ({
    preamble: "",
    context: `${name} ${i}:`,
    choices: ["yes", "no"],
    answer: right ? 0 : 1,
    solution: "",
  }));
  const [task] = findTasks(name);
  return { task, questions, prompt: ({ context }) => context };
}

function evaluation(tasks: LoadedTask[], prompt?: PromptTask) {
  const events: ClientEvent[] = [];
  const emit = (event: ClientEvent) => void events.push(event);
  // Never swaps.
  const idle = new IdleEvaluation({ tasks, prompt, emit, random: () => 0.999999 });
  return { idle, events };
}

/** Until no pass has begun for a while. */
async function settled(passes: string[]): Promise<void> {
  for (let before = -1; before !== passes.length;) {
    before = passes.length;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

Deno.test("the longest text is that of any task with its answer, or the prompt's", () => {
  const [short, long] = ["hellaswag", "mmlu"].map((name) => loaded(name, [true]));
  long.prompt = () => "é".repeat(3000);
  assert.equal(evaluation([short]).idle.longestText, 5);
  assert.equal(evaluation([short, long]).idle.longestText, 2001);
  assert.ok(evaluation([short], new PromptTask()).idle.longestText >= 256);
});

Deno.test("tasks take turns of ten documents, each document is asked once in an idle time", async () => {
  const { idle, events } = evaluation([
    loaded("boolq", Array.from({ length: 25 }, (_, i) => i < 10)),
    loaded("openbookqa", [true, false, true]),
  ]);
  const { trainer, passes } = fakeTrainer();
  assert.deepEqual(idle.report(), { evals: [], promptIndex: 0, promptResults: [] });
  idle.begin(trainer, 7);
  await settled(passes);
  const documents = passes.filter((_, i) => i % 2 === 0).map((text) => text.split(":")[0]);
  const range = (name: string, start: number, end: number) =>
    Array.from({ length: end - start }, (_, i) => `${name} ${start + i}`);
  assert.deepEqual(documents, [
    ...range("boolq", 0, 10),
    ...range("openbookqa", 0, 3),
    ...range("boolq", 10, 25),
  ]);
  const values = events.map((event) => event.type === "evaluated" && [event.task, event.average]);
  assert.deepEqual(new Map(values as [string, number][]).get("boolq"), 0.4);
  assert.deepEqual(idle.report().evals, [
    { name: "boolq", value: 0.4 },
    { name: "openbookqa", value: 2 / 3 },
  ]);
  // The next idle time begins with the first document again.
  idle.begin(trainer, 8);
  await settled(passes);
  assert.equal(passes.length, 2 * 2 * 28);
  await idle.close();
});

Deno.test("a stop leaves one pass to finish; the document is asked again, nothing is told too early", async () => {
  const { idle, events } = evaluation([loaded("piqa", [true, true, true, true])]);
  let release = () => {};
  const { trainer, passes } = fakeTrainer({
    pass: (text) =>
      text.includes("piqa 2") ? new Promise((resolve) => release = resolve) : Promise.resolve(),
  });
  idle.begin(trainer, 1);
  await settled(passes);
  const held = passes.length;
  idle.stop();
  release();
  await idle.close();
  assert.equal(passes.length, held);
  // Two of four are not more than a half.
  assert.deepEqual(idle.report().evals, []);
  assert.deepEqual(
    events.map((event) =>
      event.type === "evaluated" && [event.documents, event.total, event.reported]
    ),
    [[2, 4, false]],
  );
  const other = fakeTrainer();
  idle.begin(other.trainer, 2);
  await settled(other.passes);
  assert.ok(other.passes[0].startsWith("piqa 2"), other.passes[0]);
  assert.deepEqual(idle.report().evals, [{ name: "piqa", value: 1 }]);
  await idle.close();
});

Deno.test("windows that never overlap: a new one waits for the old one's last pass", async () => {
  const { idle } = evaluation([loaded("boolq", new Array(50).fill(true))]);
  let running = 0;
  let most = 0;
  const { trainer, passes } = fakeTrainer({
    async pass() {
      most = Math.max(most, ++running);
      await new Promise((resolve) => setTimeout(resolve, 1));
      running--;
    },
  });
  for (let step = 0; step < 20; step++) {
    idle.begin(trainer, step);
    await new Promise((resolve) => setTimeout(resolve, step % 4));
    if (step % 3 === 0) idle.stop();
  }
  await settled(passes);
  assert.equal(most, 1);
  await idle.close();
});

Deno.test("a task that fails is given up, the others go on; a trainer that is gone is no failure", async () => {
  const { idle, events } = evaluation([
    loaded("boolq", [true, true]),
    loaded("piqa", [true, true]),
  ]);
  const broken = fakeTrainer({
    pass: (text) =>
      text.includes("boolq")
        ? Promise.reject(new PsycheError("TOKENS_INVALID", "No such token."))
        : Promise.resolve(),
  });
  idle.begin(broken.trainer, 1);
  await settled(broken.passes);
  const warnings = events.filter((event) => event.type === "warning");
  assert.deepEqual(warnings, [{
    type: "warning",
    code: "TOKENS_INVALID",
    message: "Evaluation of boolq is given up: No such token.",
  }]);
  assert.deepEqual(idle.report().evals, [{ name: "piqa", value: 1 }]);
  const gone = fakeTrainer({
    pass: () => Promise.reject(new PsycheError("TRAINER_CLOSED", "Closed.")),
  });
  idle.begin(gone.trainer, 2);
  await settled(gone.passes);
  assert.equal(gone.passes.length, 1);
  idle.begin(fakeTrainer().trainer, 3);
  await idle.close();
  assert.equal(events.filter((event) => event.type === "warning").length, 1);
});

Deno.test("without a tokenizer there is one word about it and nothing is asked", async () => {
  const { idle, events } = evaluation([loaded("boolq", [true])]);
  const { trainer, passes } = fakeTrainer();
  Object.assign(trainer, { files: { ...trainer.files, tokenizer: null } });
  for (const step of [1, 2]) {
    idle.begin(trainer, step);
    await settled(passes);
  }
  await idle.close();
  assert.deepEqual([passes.length, events.length], [0, 1]);
});

Deno.test("a text grows by what a witness message can take, to its end; then comes another", async () => {
  const { idle, events } = evaluation([], new PromptTask(() => 0.5));
  const { trainer, passes } = fakeTrainer();
  const place = PROMPTS.length / 2;
  const window = async () => {
    idle.begin(trainer, 1);
    await settled(passes);
  };
  for (let tokens = 16; tokens <= 256; tokens += 16) {
    await window();
    // Nothing more is written before these are taken.
    await window();
    assert.equal(passes.length, tokens / 16);
    assert.deepEqual(idle.report(), {
      evals: [],
      promptIndex: place,
      promptResults: new Array(16).fill(5),
    });
    assert.deepEqual(idle.report().promptResults, []);
  }
  assert.ok(passes.every((text) => text.startsWith(PROMPTS[place])));
  assert.deepEqual(events, [{
    type: "prompted",
    index: place,
    prompt: PROMPTS[place],
    continuation: tokenizer.decode(new Array(256).fill(5)),
    tokens: 256,
  }]);
  await window();
  assert.equal(passes.at(-1), PROMPTS[place]);
  await idle.close();
});

Deno.test("a text that ends early is complete, its rest is reported with its own prompt", async () => {
  let number = 0;
  const { idle, events } = evaluation([], new PromptTask(() => number));
  const { trainer, passes } = fakeTrainer({ tokens: 3 });
  idle.begin(trainer, 1);
  await settled(passes);
  assert.equal(events.length, 1);
  number = 0.99;
  idle.begin(trainer, 2);
  await settled(passes);
  assert.equal(passes.length, 1);
  assert.deepEqual(idle.report(), { evals: [], promptIndex: 0, promptResults: [5, 5, 5] });
  idle.begin(trainer, 3);
  await settled(passes);
  assert.equal(idle.report().promptIndex, PROMPTS.length - 1);
  await idle.close();
});
