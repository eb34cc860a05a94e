/** How much memory a trainer will take, told before it takes it. */
import { PsycheError } from "../error.ts";
import type { Optimizer } from "../protocol/coordinator_state.ts";
import { keptByBatch, keptByLayer } from "./activations.ts";
import { isHalved } from "./halves/is_halved.ts";
import { type LlamaConfig, parameterCount } from "./model/llama_config.ts";

export interface MemoryEstimate {
  parameters: number;
  /** Bytes for weights, gradients and the optimizer's state. */
  stateBytes: number;
  /** Bytes for the activations of one micro batch on every rank. */
  activationBytes: number;
  /** Bytes for reading and writing texts beside training. */
  inferenceBytes: number;
  totalBytes: number;
}

/** fp32 arrays as long as the parameters: weights, gradients and their sum over micro batches. */
const ARRAYS = 3;
/** A further one for the second half of micro batches that have two, on the CPU. */
const HALVED_ARRAYS = 1;
/** Arrays as large as the vocabulary head that a graph has at once while it makes its gradient. */
const HEAD_ARRAYS = 3;
/** Further ones: DisTrO's residuals and the weights looking ahead; AdamW's two moments. */
const OPTIMIZER_ARRAYS: Record<Optimizer["kind"], number> = { Distro: 2, AdamW: 2, Dummy: 0 };
/** Compiled graphs that stay for texts of about one length: of two kinds, or with two lengths of answers. */
const TEXT_GRAPHS = 2;
/** What such a graph keeps against what training keeps of one layer, measured 1.4 to 1.8. */
const TEXT_GRAPH_SHARE = 1.75;
const SHORTEST_TEXT = 32;
/** Runtime, worker, JavaScript heap and a thread that helps; each further one of at most seven takes 14 MB. */
const BASE_BYTES = 165e6;

/**
 * Memory for training with this shape, all data-parallel ranks together. Of seven shapes with 0.9 to 33
 * million parameters and vocabularies of 512 to 128,256, six had measured peaks within 6 % of it, and one of
 * 16 % less: the runtime frees activations in an order of its own. Where batches are cut into pieces of
 * different lengths, the graph of each keeps its activations, which is not counted (1.6 times the estimate
 * where 31 rows were cut into 16 and 15). Inference beside it keeps graphs for each power of two up to the
 * longest text, more than most texts need.
 *
 * @param shape.ranks default 1
 * @param shape.longestText as in `TrainerOptions`
 */
export function estimateMemory(
  config: LlamaConfig,
  shape: {
    sequenceLength: number;
    microBatchSize: number;
    optimizer: Optimizer;
    ranks?: number;
    longestText?: number;
  },
): MemoryEstimate {
  const parameters = parameterCount(config);
  const { microBatchSize, sequenceLength, ranks = 1, longestText = 0 } = shape;
  const inferenceBytes = 4 * keptByTexts(config, Math.min(longestText, config.maxPositions));
  // Pieces of a batch may be smaller than the micro batch, so an odd one is no reason for none.
  const evenRows = microBatchSize - microBatchSize % 2;
  const isCut = isHalved(config, { batch: evenRows, sequenceLength });
  const head = (isCut ? 2 : 1) * HEAD_ARRAYS * config.vocabSize * config.hiddenSize;
  const activations = keptByBatch(config, microBatchSize, sequenceLength) + head;
  const activationBytes = 4 * ranks * activations;
  const rankArrays = ARRAYS + (isCut ? HALVED_ARRAYS : 0);
  const stateBytes = 4 * parameters * (rankArrays * ranks + OPTIMIZER_ARRAYS[shape.optimizer.kind]);
  return {
    parameters,
    stateBytes,
    activationBytes,
    inferenceBytes,
    totalBytes: BASE_BYTES * ranks + stateBytes + activationBytes + inferenceBytes,
  };
}

/** Numbers that the graphs for texts up to this many tokens keep. */
function keptByTexts(config: LlamaConfig, longest: number): number {
  let sum = 0;
  for (let length = SHORTEST_TEXT; length < 2 * longest; length *= 2) {
    sum += TEXT_GRAPHS * TEXT_GRAPH_SHARE * keptByLayer(config, length);
  }
  return sum;
}

/**
 * @param available bytes that may be used
 * @throws PsycheError `MODEL_TOO_LARGE`, with the numbers
 */
export function refuseTooLarge(estimate: MemoryEstimate, available: number): void {
  if (estimate.totalBytes <= available) return;
  const { parameters, totalBytes, stateBytes, activationBytes, inferenceBytes } = estimate;
  const gigabytes = (bytes: number) => (bytes / 1e9).toFixed(1);
  const [texts, fewerTexts] = inferenceBytes === 0
    ? ["", ""]
    : [`, ${gigabytes(inferenceBytes)} for evaluation`, "leave evaluation tasks out, "];
  throw new PsycheError(
    "MODEL_TOO_LARGE",
    `Training ${(parameters / 1e6).toFixed(1)} million parameters takes about ` +
      `${gigabytes(totalBytes)} GB of memory (${
        gigabytes(stateBytes)
      } for weights and optimizer, ` +
      `${gigabytes(activationBytes)} for one micro batch${texts}), but ${
        gigabytes(available)
      } GB ` +
      `are free; ${fewerTexts}lower the micro batch size, or use a larger machine or a smaller model.`,
  );
}

/**
 * Bytes of memory that the machine has to spare, or all that its container may use if that is less.
 * Without the permission to ask, no limit is known.
 */
export function freeMemory(): number {
  const permission = { name: "sys", kind: "systemMemoryInfo" } as const;
  if (Deno.permissions.querySync(permission).state !== "granted") return Infinity;
  return Math.min(Deno.systemMemoryInfo().available, containerLimit());
}

/** The limit of a Linux control group. */
function containerLimit(): number {
  try {
    const limit = Number(Deno.readTextFileSync("/sys/fs/cgroup/memory.max"));
    return Number.isFinite(limit) && limit > 0 ? limit : Infinity;
  } catch {
    // Not in a container, another system, or not allowed to look.
    return Infinity;
  }
}
