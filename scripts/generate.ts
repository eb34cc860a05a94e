/** Continues a text with a model. */
import { availableParallelism } from "node:os";
import { defineCommand } from "../lib/cli/command.ts";
import { decimal, defaulted, integer, required, text } from "../lib/cli/flag.ts";
import { runCommand } from "../lib/cli/run_command.ts";
import { HUB_FLAGS, modelDirectory } from "../lib/cli/model_directory.ts";
import { generateText } from "../lib/trainer/inference/generate_text.ts";
import { LanguageModel } from "../lib/trainer/inference/language_model.ts";

export const command = defineCommand({
  name: "generate",
  summary: "Continues a text with a model: a checkpoint, any directory, or one of the Hub.",
  examples: [
    [
      'deno task generate --model checkpoints/test-step99 --prompt "Economy: "',
      "the likeliest text",
    ],
    [
      'deno task generate --model owner/name --prompt "Once" --temperature 0.8 --seed 7 --max-new-tokens 200',
      "a drawn one",
    ],
  ],
  flags: {
    ...HUB_FLAGS,
    prompt: required(
      text({ summary: "text to continue", placeholder: "<text>", short: "p", environment: [] }),
    ),
    maxNewTokens: defaulted(
      integer({ summary: "most tokens to add", min: 1, max: 1 << 20, environment: [] }),
      "128",
    ),
    temperature: defaulted(
      decimal({ summary: "0 takes the likeliest token, 1 draws as trained", environment: [] }),
      "0",
    ),
    seed: defaulted(integer({ summary: "seed of the draws", environment: [] }), "42"),
    threads: integer({ summary: "threads of the runtime (all cores)", min: 1, max: 1024 }),
  },
  async run(command) {
    const { settings, output, signal, runtime } = command;
    const directory = await modelDirectory(command);
    const threads = settings.threads ?? availableParallelism();
    const model = await LanguageModel.open(directory, { threads });
    const started = performance.now();
    const write = (text: string) => output.json || runtime.stdout(text);
    /** Nobody reads on. */
    const unread = new AbortController();
    write(settings.prompt);
    const made = await generateText(model, settings.prompt, {
      ...settings,
      signal: AbortSignal.any([signal, unread.signal]),
      onText(piece) {
        write(piece);
        if (runtime.isUnread) unread.abort();
      },
    }).catch((error) => {
      // The error begins on a line of its own.
      write("\n");
      throw error;
    });
    const seconds = (performance.now() - started) / 1000;
    await model.close();
    output.result({ model: directory, prompt: settings.prompt, ...made, seconds }, [""]);
    const rate = (made.tokens / seconds).toFixed(1);
    output.say(`${made.tokens} tokens in ${seconds.toFixed(1)} s, ${rate} a second`);
    const length = model.tokenizer.encode(settings.prompt).length + made.tokens;
    if (length > model.maxPositions && made.tokens < settings.maxNewTokens) {
      output.warn(`the text ends because the model reads ${model.maxPositions} tokens at most`);
    }
    // What is there has been shown; that it is not all of it, the exit code tells.
    signal.throwIfAborted();
  },
});

if (import.meta.main) await runCommand(command);
