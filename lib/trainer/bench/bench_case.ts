/** The model classes and batches whose training is measured. */
import { type LlamaConfig, nanoConfig } from "../model/llama_config.ts";

export interface BenchCase {
  name: string;
  config: LlamaConfig;
  batch: number;
  sequenceLength: number;
  /** Small enough to be trained by contestants that need seconds for it. */
  small: boolean;
}

export const BENCH_CASES: BenchCase[] = [
  { name: "nano", config: nanoConfig(512), batch: 8, sequenceLength: 128, small: true },
  { name: "1.8M", config: nanoConfig(4096), batch: 8, sequenceLength: 128, small: true },
  {
    name: "23M",
    config: {
      ...nanoConfig(32_000),
      hiddenSize: 256,
      intermediateSize: 768,
      layers: 8,
      heads: 8,
      kvHeads: 8,
    },
    batch: 4,
    sequenceLength: 512,
    small: false,
  },
];

/** Edge of the square product that tells what the machine can do. */
export const PRODUCT_EDGE = 2048;

/** Rate of every measured step; what it is makes no difference to the time. */
export const BENCH_RATE = 1e-4;
