/** Fresh models with the "Mitchell" initialisation (docs/protocol/commands.md section 12). */
import { setTimeout as pause } from "node:timers/promises";
import { PsycheError } from "../../error.ts";
import { seededRandom } from "../random.ts";
import { formatLlamaConfig, type LlamaConfig, parameterShapes } from "./llama_config.ts";
import { type Parameter, writeModelDirectory } from "./model_directory.ts";

/** Standard deviations beyond which a normal number is clamped. */
const CUT = 3;

/**
 * Initial weights by name, fp32: norms 1, matrices truncated normal with a deviation that shrinks
 * with width and, for the projections that write to the residual stream, with depth.
 */
export function initialParameters(
  config: LlamaConfig,
  seed: number,
): Map<string, Float32Array<ArrayBuffer>> {
  return new Map([...drawParameters(config, seed)].map(({ name, data }) => [name, data]));
}

/** One parameter after the other. @throws PsycheError `SEED_INVALID` */
function* drawParameters(config: LlamaConfig, seed: number): Generator<Parameter> {
  if (!Number.isSafeInteger(seed) || seed < 0) {
    throw new PsycheError("SEED_INVALID", `Seed ${seed} is no whole number; use 0 to 2^53 - 1.`);
  }
  const random = seededRandom(seed);
  for (const { name, shape } of parameterShapes(config)) {
    const data = new Float32Array(shape.reduce((a, b) => a * b, 1)).fill(1);
    if (shape.length > 1) {
      const sigma = deviation(name, config);
      for (let i = 0; i < data.length; i++) {
        data[i] = sigma * Math.min(CUT, Math.max(-CUT, random.normal()));
      }
    }
    yield { name, shape, data };
  }
}

function deviation(name: string, config: LlamaConfig): number {
  const layer = Number(name.match(/layers\.(\d+)\./)?.[1] ?? 0);
  if (name.includes("o_proj")) return 1 / Math.sqrt(2 * config.hiddenSize * (layer + 1));
  if (name.includes("down_proj")) return 1 / Math.sqrt(2 * config.intermediateSize * (layer + 1));
  return 1 / Math.sqrt(config.hiddenSize);
}

export interface InitOptions {
  /** Told how many of the parameters are drawn. */
  onProgress?: (drawn: number) => void;
  /** Asked after every matrix. */
  signal?: AbortSignal;
}

/**
 * Writes a fresh model directory: config.json, model.safetensors and, if given, tokenizer.json.
 *
 * @throws PsycheError `MODEL_DIRECTORY_EXISTS` when `directory` is there and not empty, `SEED_INVALID`,
 * `OUTPUT_UNWRITABLE`; the reason of `signal`
 */
export async function initModel(
  directory: string,
  config: LlamaConfig,
  seed: number,
  tokenizer: string | null = null,
  { onProgress, signal }: InitOptions = {},
): Promise<void> {
  const parameters: Parameter[] = [];
  let drawn = 0;
  for (const parameter of drawParameters(config, seed)) {
    parameters.push(parameter);
    onProgress?.(drawn += parameter.data.length);
    // Signals are events: without a pause no abort would be seen.
    await pause();
    signal?.throwIfAborted();
  }
  await writeModelDirectory(directory, {
    files: { config: formatLlamaConfig(config), tokenizer },
    parameters,
  });
}
