/** A fresh model out of a preset, single changes to it and a tokenizer. */
import { PsycheError } from "../../error.ts";
import { separatorId } from "../data/tokenize.ts";
import { freeMemory } from "../memory_estimate.ts";
import { loadTokenizer } from "../tokenizer/tokenizer.ts";
import { initModel } from "./init.ts";
import {
  formatLlamaConfig,
  type LlamaConfig,
  nanoConfig,
  parameterCount,
  parseLlamaConfig,
} from "./llama_config.ts";
import { MODEL_PRESETS, type ModelPreset, type ModelShape } from "./presets.ts";

export interface FreshModelOptions {
  /** Must not exist yet. */
  directory: string;
  preset: ModelPreset;
  /** Changes to the preset; undefined keeps its value. */
  shape: { [K in keyof ModelShape]?: number };
  /** Path of a tokenizer.json. Its vocabulary is the model's unless `shape` says otherwise. */
  tokenizer?: string;
  seed: number;
  /** Told how many parameters are drawn, of how many. */
  onProgress?: (drawn: number, parameters: number) => void;
  signal?: AbortSignal;
}

export interface FreshModel {
  directory: string;
  parameters: number;
  config: LlamaConfig;
}

/**
 * Writes a model directory with random weights (docs/protocol/commands.md section 12).
 *
 * @throws PsycheError `MODEL_CONFIG_INVALID`, `MODEL_DIRECTORY_EXISTS`, `MODEL_TOO_LARGE`,
 * `TOKENIZER_INVALID`, `SEED_INVALID`, `OUTPUT_UNWRITABLE`; the reason of `signal`
 */
export async function freshModel(options: FreshModelOptions): Promise<FreshModel> {
  const { directory, preset, seed, onProgress, signal } = options;
  const json = options.tokenizer === undefined ? null : await readTokenizer(options.tokenizer);
  const given = Object.fromEntries(
    Object.entries(options.shape).filter(([, value]) => value !== undefined),
  );
  const shape: ModelShape = { ...MODEL_PRESETS[preset], ...vocabulary(json), ...given };
  const asked: LlamaConfig = { ...nanoConfig(1), ...shape, ...endToken(json) };
  // Reading back what will be written finds shapes that no reader would accept.
  const config = parseLlamaConfig(formatLlamaConfig(asked));
  if (json !== null && loadTokenizer(json).vocabSize > config.vocabSize) {
    throw new PsycheError(
      "MODEL_CONFIG_INVALID",
      `The tokenizer has ${
        loadTokenizer(json).vocabSize
      } tokens, the model only ${config.vocabSize}; use a vocabulary at least as large.`,
    );
  }
  const parameters = parameterCount(config);
  if (4 * parameters > freeMemory()) {
    throw new PsycheError(
      "MODEL_TOO_LARGE",
      `${parameters} parameters take ${
        (4e-9 * parameters).toFixed(1)
      } GB of memory, more than is free; choose a smaller shape.`,
    );
  }
  if (await Deno.stat(directory).then(() => true, () => false)) {
    throw new PsycheError(
      "MODEL_DIRECTORY_EXISTS",
      `${directory} already exists; choose a directory that does not exist yet.`,
    );
  }
  signal?.throwIfAborted();
  await initModel(directory, config, seed, json, {
    onProgress: (drawn) => onProgress?.(drawn, parameters),
    signal,
  });
  return { directory, parameters, config };
}

/** One line for people. */
export function describeShape(config: LlamaConfig): string {
  const { layers, hiddenSize, intermediateSize, heads, kvHeads, vocabSize, maxPositions } = config;
  return `${layers} layers of width ${hiddenSize} (feed-forward ${intermediateSize}), ${heads} heads ` +
    `over ${kvHeads}, ${vocabSize} tokens, up to ${maxPositions} positions`;
}

async function readTokenizer(path: string): Promise<string> {
  try {
    return await Deno.readTextFile(path);
  } catch (cause) {
    throw new PsycheError(
      "TOKENIZER_INVALID",
      `${path} cannot be read; give the path of a tokenizer.json.`,
      { cause },
    );
  }
}

function vocabulary(json: string | null): { vocabSize?: number } {
  return json === null ? {} : { vocabSize: loadTokenizer(json).vocabSize };
}

/** The token at which generation ends, if the tokenizer has one of the usual ones. */
function endToken(json: string | null): { eosTokenIds?: number[] } {
  if (json === null) return {};
  try {
    return { eosTokenIds: [separatorId(loadTokenizer(json))] };
  } catch (error) {
    if (error instanceof PsycheError && error.code === "SEPARATOR_UNKNOWN") return {};
    throw error;
  }
}
