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
    assert.equal(stopped.code, 130, stopped.stderr);
    assert.ok(stopped.stdout.length > "the".length && stopped.stdout.endsWith("\n"));
    assert.match(stopped.stderr, /^(?!200 tokens)\d+ tokens in/m);
    const unread = await run(generate, [...args, "--max-new-tokens", "200"], (runtime) => {
      const write = runtime.stdout;
      runtime.stdout = (piece) => {
        write(piece);
        runtime.isUnread = runtime.written.stdout.length > 8;
      };
    });
    assert.equal(unread.code, 0, unread.stderr);
    assert.match(unread.stderr, /^\d{1,2} tokens in/m);
    const long = await run(generate, ["-m", model, "-p", "the", "--max-new-tokens", "999"]);
    assert.match(long.stderr, /^warning: the text ends because the model reads 256 tokens/m);
    assert.doesNotMatch(text.stderr + stopped.stderr, /warning/);
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

Deno.test("eval: what is missing is told before anything is asked; what is known stays after Ctrl+C", () =>
  withModel(async (folder, model) => {
    const args = ["-m", model, "--threads", "1", "--tasks", "arc_easy,piqa", "--data"];
    const offline = { HF_HUB_OFFLINE: "1", HF_HOME: folder };
    const missing = await run(evaluate, [...args, QUESTIONS], undefined, offline);
    assert.equal(missing.code, 1);
    assert.match(missing.stderr, /HUB_UNAVAILABLE.*piqa/);
    assert.doesNotMatch(missing.stderr, /arc_easy/);
    const typo = await run(evaluate, [...args, join(folder, "typo")], undefined, offline);
    assert.match(typo.stderr, /DATA_UNAVAILABLE.*typo is no directory/);

    const own = join(folder, "own");
    const write = async (path: string, text: string) => {
      await Deno.mkdir(join(own, path, ".."), { recursive: true });
      await Deno.writeTextFile(join(own, path), text);
    };
    await write(
      "boolq/validation.jsonl",
      '{"passage":"a","question":"b","label":1}\n{"label":0}\n',
    );
    const boolq = ["-m", model, "--threads", "1", "--tasks", "boolq", "--data", own];
    assert.match((await run(evaluate, boolq)).stderr, /Row 2 of boolq's validation.*passage/);
    const shots = await run(evaluate, [...boolq, "--shots", "1", "--max-docs", "1"]);
    assert.match(shots.stderr, /holds neither train.jsonl nor parquet/);

    await write(
      "piqa/validation.jsonl",
      '{"goal":"a","sol1":"b","sol2":"c","label":1}\n'.repeat(9),
    );
    const both = ["-m", model, "--threads", "1", "--tasks", "boolq,piqa", "--data", own];
    const reversed = await run(evaluate, [
      ...both.slice(0, -4),
      "--tasks",
      "piqa,boolq",
      "--data",
      own,
    ]);
    assert.match(reversed.stderr, /^error.*Row 2 of boolq/);
    await write("boolq/validation.jsonl", '{"passage":"a","question":"b","label":1}\n');
    const stopped = await run(evaluate, both, (runtime) => {
      const write = runtime.stderr;
      runtime.stderr = (text) => {
        write(text);
        if (text.includes("piqa: 1 of")) runtime.interrupt();
      };
    });
    assert.equal(stopped.code, 130);
    assert.match(stopped.stdout, /^boolq: acc .* \(1 documents\)\n$/);
  }));

Deno.test("generate, eval: a model that computes NaN is refused instead of judged", () =>
  withModel(async (_folder, model) => {
    const path = join(model, "model.safetensors");
    const bytes = await Deno.readFile(path);
    bytes.fill(0xff, bytes.length - 400);
    await Deno.writeFile(path, bytes);
    for (const temperature of ["0", "1"]) {
      const text = await run(generate, [
        "-m",
        model,
        "-p",
        "the cat",
        "--temperature",
        temperature,
      ]);
      assert.deepEqual([text.code, /MODEL_NOT_FINITE/.test(text.stderr)], [1, true], text.stderr);
      assert.equal(text.stdout, "the cat\n");
    }
    const judged = await run(evaluate, ["-m", model, "--tasks", "arc_easy", "--data", QUESTIONS]);
    assert.deepEqual([judged.code, /MODEL_NOT_FINITE/.test(judged.stderr)], [1, true]);
  }));
