import assert from "node:assert/strict";
import { dirname, join } from "node:path";
import { FAKE_URL, FakeHub } from "../hub/fake_hub.ts";
import { evalDirectory } from "./eval_directory.ts";
import { findTasks } from "./eval_tasks.ts";
import { loadTask } from "./load_task.ts";

const QUESTIONS = join(import.meta.dirname!, "../../../tests/trainer/fixtures/parquet/questions");

const fixture = (path: string) => Deno.readFile(join(QUESTIONS, path));

async function withCache(use: (cacheDirectory: string) => Promise<void>) {
  const directory = await Deno.makeTempDir();
  try {
    await use(directory);
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
}

Deno.test("CEval: every subject of the Hub's data set is fetched once, then found without network", () =>
  withCache(async (cacheDirectory) => {
    const [ceval] = findTasks("ceval_valid");
    const files = new Map<string, Uint8Array<ArrayBuffer>>();
    for (const subject of ceval.subsets) {
      for (const split of ["dev", "val"]) {
        files.set(
          `${subject}/${split}/0000.parquet`,
          await fixture(`ceval_valid/law/${split}/0000.parquet`),
        );
      }
    }
    const hub = new FakeHub(ceval.dataset, files);
    const options = { cacheDirectory, hubUrl: FAKE_URL, fetch: hub.fetch };
    const directory = await evalDirectory(ceval, undefined, options);
    hub.online = false;
    assert.equal(await evalDirectory(ceval, undefined, options), directory);
    const { questions, prompt } = await loadTask(ceval, { directory, shots: 1 });
    assert.equal(questions.length, 52);
    assert.equal(new Set(questions.map(({ preamble }) => preamble)).size, 52);
    for (const question of questions) {
      const text = prompt(question);
      assert.ok(text.startsWith(question.preamble) && text.endsWith(question.context));
      assert.match(text, /答案： C\n\n猫/);
    }
    // The document limit ends the reading, too.
    assert.equal((await loadTask(ceval, { directory, maxDocuments: 3 })).questions.length, 3);
  }));

Deno.test("MMLU Pro from the Hub; a directory of one's own comes first", () =>
  withCache(async (cacheDirectory) => {
    const [pro] = findTasks("mmlu_pro");
    const files = new Map<string, Uint8Array<ArrayBuffer>>();
    for (const split of ["test", "validation"]) {
      files.set(
        `default/${split}/0000.parquet`,
        await fixture(`mmlu_pro/default/${split}/0000.parquet`),
      );
    }
    const hub = new FakeHub(pro.dataset, files);
    const options = { cacheDirectory, hubUrl: FAKE_URL, fetch: hub.fetch };
    const own = await evalDirectory(pro, QUESTIONS, options);
    assert.deepEqual([own, hub.requests], [join(QUESTIONS, "mmlu_pro"), []]);
    const directory = await evalDirectory(pro, dirname(QUESTIONS), options);
    const loaded = await loadTask(pro, { directory });
    assert.match(
      loaded.prompt(loaded.questions[0]),
      /woof\?.*Answer: Let's think step by step\.$/s,
    );
  }));
