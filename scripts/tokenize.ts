/** Turns text into a token file. */
import { defineCommand } from "../lib/cli/command.ts";
import { defaulted, type Flag, required, text } from "../lib/cli/flag.ts";
import { createProgress } from "../lib/cli/progress.ts";
import { runCommand } from "../lib/cli/run_command.ts";
import { readDocuments, sourceBytes } from "../lib/trainer/data/text_sources.ts";
import { separatorId, tokenizeDocuments } from "../lib/trainer/data/tokenize.ts";
import { readTokenizer } from "../lib/trainer/tokenizer/tokenizer.ts";

const tokenBytes: Flag<2 | 4> = {
  summary: "bytes of one token, 2 or 4",
  placeholder: "<n>",
  environment: [],
  fallback: "2",
  parse(value) {
    if (value === "2") return 2;
    if (value === "4") return 4;
    throw new Error(`"${value}" is neither 2 nor 4`);
  },
};

export const command = defineCommand({
  name: "tokenize",
  summary: "Turns text files or JSON lines into a raw token file (.bin, .ds or .npy name).",
  examples: [
    [
      "deno task tokenize --tokenizer tokenizer.json --input book.txt --output data/book.bin",
      "one document a file",
    ],
    [
      "zcat pile.jsonl.gz | deno task tokenize --tokenizer tokenizer.json --input - --field text -o data/pile.ds",
      "one document a line, from a pipe",
    ],
  ],
  flags: {
    tokenizer: required(
      text({ summary: "tokenizer.json", placeholder: "<file>", environment: [] }),
    ),
    input: required(text({
      summary: "files, comma separated; - is stdin; *.jsonl holds a document a line",
      placeholder: "<files>",
      short: "i",
      environment: [],
    })),
    output: required(
      text({ summary: "token file", placeholder: "<file>", short: "o", environment: [] }),
    ),
    field: text({
      summary: 'key of the text in JSON lines ("text"); makes stdin JSON lines too',
      placeholder: "<key>",
      environment: [],
    }),
    tokenBytes,
    separator: defaulted(
      text({
        summary: "token after each document; auto = the usual one, none = no token",
        placeholder: "<token>",
        environment: [],
      }),
      "auto",
    ),
  },
  check: ({ output }) =>
    /\.(npy|bin|ds)$/.test(output) ? [] : ["--output must end in .bin, .ds or .npy"],
  async run({ settings, output, signal }) {
    const tokenizer = await readTokenizer(settings.tokenizer);
    const { separator: name } = settings;
    const separator = name === "none"
      ? null
      : separatorId(tokenizer, name === "auto" ? undefined : name);
    const inputs = settings.input.split(",").filter((path) => path !== "");
    const total = await sourceBytes(inputs);
    const progress = createProgress(output);
    const result = await tokenizeDocuments(
      readDocuments(inputs, { field: settings.field, stdin: Deno.stdin.readable, signal }),
      settings.output,
      {
        tokenizer,
        tokenBytes: settings.tokenBytes,
        separator,
        signal,
        onProgress: ({ sourceBytes }) =>
          total === null || progress.update("bytes", sourceBytes, total),
      },
    );
    output.result({ output: settings.output, ...result, token_bytes: settings.tokenBytes }, [
      `${settings.output}: ${
        result.tokens.toLocaleString("en")
      } tokens of ${result.documents} documents`,
    ]);
  },
});

if (import.meta.main) await runCommand(command);
