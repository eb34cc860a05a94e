/** Llama shapes by name, for `init-model`. Widths are multiples of 64, which the kernels like. */
import { type LlamaConfig, nanoConfig } from "./llama_config.ts";

export type ModelShape = Pick<
  LlamaConfig,
  "vocabSize" | "hiddenSize" | "intermediateSize" | "layers" | "heads" | "kvHeads" | "maxPositions"
>;

/** Parameter counts in the names are with the vocabulary given here. */
export const MODEL_PRESETS = {
  /** 0.9 million. */
  nano: nanoConfig(512),
  "20m": preset(32_000, 256, 1024, 4, 8, 8),
  "100m": preset(32_000, 640, 1792, 14, 10, 10),
  "300m": preset(32_000, 1024, 2816, 20, 16, 8),
  "1b": preset(32_000, 2048, 5632, 22, 32, 4),
} satisfies Record<string, ModelShape>;

export type ModelPreset = keyof typeof MODEL_PRESETS;

function preset(
  vocabSize: number,
  hiddenSize: number,
  intermediateSize: number,
  layers: number,
  heads: number,
  kvHeads: number,
): ModelShape {
  return { vocabSize, hiddenSize, intermediateSize, layers, heads, kvHeads, maxPositions: 2048 };
}
