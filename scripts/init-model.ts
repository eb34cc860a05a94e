/** Makes a fresh model directory. */
import { defineCommand } from "../lib/cli/command.ts";
import { defaulted, type Flag, integer, required, text } from "../lib/cli/flag.ts";
import { createProgress } from "../lib/cli/progress.ts";
import { runCommand } from "../lib/cli/run_command.ts";
import { describeShape, freshModel } from "../lib/trainer/model/fresh_model.ts";
import { MODEL_PRESETS, type ModelPreset } from "../lib/trainer/model/presets.ts";

const preset: Flag<ModelPreset> = {
  summary: `shape to start from: ${Object.keys(MODEL_PRESETS).join(", ")}`,
  placeholder: "<name>",
  environment: [],
  fallback: "nano",
  parse(name) {
    if (Object.hasOwn(MODEL_PRESETS, name)) return name as ModelPreset;
    throw new Error(`"${name}" is none of ${Object.keys(MODEL_PRESETS).join(", ")}`);
  },
};

const size = (summary: string) => integer({ summary, min: 1, max: 1 << 20, environment: [] });

export const command = defineCommand({
  name: "init-model",
  summary: "Makes a Llama model with random weights, as Hugging Face directories are.",
  examples: [
    ["deno task init-model --output models/nano", "the demo's shape"],
    [
      "deno task init-model --output models/20m --preset 20m --tokenizer tokenizer.json --seed 7",
      "20 million parameters with the vocabulary of a tokenizer",
    ],
  ],
  flags: {
    output: required(
      text({ summary: "directory to make", placeholder: "<dir>", short: "o", environment: [] }),
    ),
    preset,
    tokenizer: text({
      summary: "tokenizer.json to copy into the model; gives vocabulary and end token",
      placeholder: "<file>",
      environment: [],
    }),
    seed: defaulted(integer({ summary: "seed of the weights", environment: [] }), "42"),
    vocabSize: size("number of tokens"),
    hiddenSize: size("width of the model"),
    intermediateSize: size("width of the feed-forward part"),
    layers: size("number of layers"),
    heads: size("query heads; hidden size must be a multiple of twice their number"),
    kvHeads: size("key/value heads; divides the query heads"),
    maxPositions: size("longest text in tokens"),
  },
  async run({ settings, output, signal }) {
    const { output: directory, preset, tokenizer, seed, ...shape } = settings;
    const progress = createProgress(output);
    const onProgress = (drawn: number, all: number) => progress.update("parameters", drawn, all);
    const model = await freshModel({
      directory,
      preset,
      tokenizer,
      seed,
      shape,
      onProgress,
      signal,
    });
    output.result(model, [
      `${directory}: ${model.parameters.toLocaleString("en")} parameters`,
      describeShape(model.config),
    ]);
  },
});

if (import.meta.main) await runCommand(command);
