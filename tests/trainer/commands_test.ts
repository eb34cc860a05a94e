/** The commands around models and data, one after the other as a user would give them. */
import assert from "node:assert/strict";
import { join } from "node:path";
import type { CommandDefinition } from "../../lib/cli/command.ts";
import type { Flags } from "../../lib/cli/flag.ts";
import { runCommand } from "../../lib/cli/run_command.ts";
import { type TestRuntime, testRuntime } from "../../lib/cli/test_runtime.ts";
import { FAKE_TOKEN, FakeHub } from "../../lib/trainer/hub/fake_hub.ts";
import { bpeTokenizerJson } from "../../lib/trainer/tokenizer/bpe_model.ts";
import { trainBpe } from "../../lib/trainer/tokenizer/train_bpe.ts";
import { command as evaluate } from "../../scripts/eval.ts";
import { command as generate } from "../../scripts/generate.ts";
import { command as initModel } from "../../scripts/init-model.ts";
import { command as tokenize } from "../../scripts/tokenize.ts";

const QUESTIONS = join(import.meta.dirname!, "fixtures", "parquet", "questions");

async function run<F extends Flags>(
  command: CommandDefinition<F>,
  args: string[],
  change: (runtime: TestRuntime) => void = () => {},
  environment: Record<string, string> = {},
) {
  const runtime = testRuntime(args, { environment });
  change(runtime);
  await runCommand(command, runtime);
  return { code: runtime.exitCodes[0], ...runtime.written };
}

/** A folder with a tokenizer and a model made by `init-model`. */
async function withModel(use: (folder: string, model: string) => Promise<void>) {
  const folder = await Deno.makeTempDir();
  try {
    const tokenizer = join(folder, "tokenizer.json");
    await Deno.writeTextFile(tokenizer, bpeTokenizerJson(trainBpe("the cat sat ".repeat(9), 300)));
    const model = join(folder, "model");
    const args = ["-o", model, "--tokenizer", tokenizer, "--layers", "2", "--max-positions", "256"];
    const made = await run(initModel, [...args, "--seed", "3", "--json"]);
    assert.equal(made.code, 0, made.stderr);
    const { parameters, config } = JSON.parse(made.stdout);
    assert.deepEqual([config.layers, config.maxPositions, config.eosTokenIds], [2, 256, [0]]);
    assert.ok(parameters > 100_000);
    const again = await run(initModel, args);
    assert.equal(again.code, 1);
    assert.match(again.stderr, /MODEL_DIRECTORY_EXISTS/);
    await use(folder, model);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test("init-model, generate: the same seed gives the same text; Ctrl+C keeps what is there", () =>
  withModel(async (_folder, model) => {
    const args = ["-m", model, "-p", "the", "--temperature", "1", "--threads", "1"];
    const text = await run(generate, [...args, "--max-new-tokens", "12"]);
    assert.equal(text.code, 0, text.stderr);
    assert.match(text.stdout, /^the/);
    const json = JSON.parse(
      (await run(generate, [...args, "--max-new-tokens", "12", "--json"])).stdout,
    );
    assert.equal(`the${json.text}\n`, text.stdout);
    assert.ok(json.tokens <= 12);
    const stopped = await run(generate, [...args, "--max-new-tokens", "200"], (runtime) => {
      const write = runtime.stdout;
      let pieces = 0;
      runtime.stdout = (piece) => {
        write(piece);
        if (++pieces === 5) runtime.interrupt();
      };
    });
    assert.equal(stopped.code, 0, stopped.stderr);
    assert.match(stopped.stderr, /^(?!200 tokens)\d+ tokens in/m);
    const wrong = await run(generate, ["-m", join(model, "nothing"), "-p", "x"]);
    assert.match(wrong.stderr, /HUB_NAME_INVALID/);
    assert.equal(wrong.code, 1);
  }));

Deno.test("generate: a model of the Hub is fetched with progress, then found in the cache", () =>
  withModel(async (folder, model) => {
    const files = new Map<string, Uint8Array<ArrayBuffer>>();
    for (const { name } of Deno.readDirSync(model)) {
      files.set(name, await Deno.readFile(join(model, name)));
    }
    const hub = new FakeHub("owner/tiny", files);
    hub.needsToken = true;
    await using server = Deno.serve(
      { port: 0, hostname: "127.0.0.1", onListen() {} },
      (request) => hub.fetch(request),
    );
    const environment = {
      HF_ENDPOINT: `http://127.0.0.1:${server.addr.port}`,
      HF_HOME: join(folder, "hf"),
      HF_TOKEN: FAKE_TOKEN,
    };
    const args = ["-m", "owner/tiny", "-p", "the", "--max-new-tokens", "3", "--threads", "1"];
    const made = await run(generate, args, undefined, environment);
    assert.equal(made.code, 0, made.stderr);
    assert.match(made.stderr, /owner\/tiny: \d+ of \d+/);
    const offline = { ...environment, HF_HUB_OFFLINE: "1" };
    assert.equal((await run(generate, args, undefined, offline)).stdout, made.stdout);
    const locked = await run(generate, args, undefined, { ...environment, HF_TOKEN: "hf_no" });
    assert.match(locked.stderr, /HUB_ACCESS_DENIED/);
  }));

Deno.test("tokenize: files become a token file with progress", () =>
  withModel(async (folder, model) => {
    const tokenizer = join(model, "tokenizer.json");
    await Deno.writeTextFile(join(folder, "a.jsonl"), '{"text":"the cat"}\n{"text":"sat"}\n');
    await Deno.writeTextFile(join(folder, "b.txt"), "the cat\nsat\n");
    const input = `${join(folder, "a.jsonl")},${join(folder, "b.txt")}`;
    const output = join(folder, "out.bin");
    const made = await run(tokenize, [
      "--tokenizer",
      tokenizer,
      "-i",
      input,
      "-o",
      output,
      "--json",
    ]);
    assert.equal(made.code, 0, made.stderr);
    const { documents, tokens, bytes, token_bytes } = JSON.parse(made.stdout);
    assert.deepEqual([documents, token_bytes, bytes], [3, 2, tokens * 2]);
    assert.equal((await Deno.stat(output)).size, bytes);
    assert.match(made.stderr, /bytes: \d+ of \d+/);
    for (const name of ["out.txt", "bin"]) {
      const bad = await run(tokenize, ["--tokenizer", tokenizer, "-i", input, "-o", name]);
      assert.equal(bad.code, 2);
    }
  }));

Deno.test("eval: results of several tasks", () =>
  withModel(async (_folder, model) => {
    const args = [
      "-m",
      model,
      "--tasks",
      "arc_easy,mmlu,mmlu_pro",
      "--data",
      QUESTIONS,
      "--threads",
      "1",
    ];
    const found = await run(evaluate, [...args, "--json"]);
    assert.equal(found.code, 0, found.stderr);
    const { results } = JSON.parse(found.stdout);
    assert.deepEqual(
      results.map(({ task, documents }: { task: string; documents: number }) => [task, documents]),
      [["arc_easy", 2], ["mmlu", 1], ["mmlu_pro", 1]],
    );
    const text = await run(evaluate, [...args, "--max-docs", "1"]);
    assert.match(text.stdout, /^arc_easy: acc_norm .* \(1 documents\)$/m);
    assert.equal((await run(evaluate, ["-m", model, "--tasks", "nope"])).code, 2);
  }));
