/**
 * The trainer as its user (the client life cycle, the demo baseline, `generate`) sees it. The work is
 * done in a worker, because an onnxruntime run blocks its thread; see `create_trainer.ts`.
 */
import type { Optimizer } from "../protocol/coordinator_state.ts";

/** Compressed pseudo-gradient of one parameter, training-math.md sections 3.1, 3.5-3.7. */
export interface SparseParameter {
  /** Block-tensor shape before flattening, e.g. `[y, x, h, w]`. */
  xshape: number[];
  /** Number of entries of a flattened block (`h * w`, or `w` for vectors). */
  totalk: number;
  /** Entries kept per block. */
  k: number;
  /** Encoded indices as sent: u8, u16 LE or u32 LE by `totalk`, blocks row-major, k each. */
  indices: Uint8Array;
  /** Encoded values as sent: fp32 LE, or one bit each (LSB first). */
  values: Uint8Array;
  /** True when `values` holds one bit per entry. */
  oneBit: boolean;
}

/** Result of training one batch: one entry per parameter, in ascending byte order of the names. */
export type DistroResult = SparseParameter[];

export interface TrainRequest {
  step: number;
  /** Tokens, row-major [batch, sequenceLength], int32. */
  tokens: Int32Array;
  /** Token expected at each place, [batch, sequenceLength]; -100 counts not. Default: `tokens`. */
  labels?: Int32Array;
  /** Position of each token within its text, [batch, sequenceLength]. Default: 0, 1, 2 ... */
  positionIds?: Int32Array;
  /** Lengths of the texts packed in each row; attention stays within a text. Default: one a row. */
  sequenceLengths?: number[][];
  batch: number;
  /** Learning rates with the cold-start factor already applied (training-math.md section 1). */
  lr: number;
  previousLr: number;
  /** Zero the residuals first (cold start, round height 0). */
  resetOptimizer: boolean;
  /** Round in which these batches are trained; own results of `round - 1` are subtracted (3.2 C). */
  round: number;
}

export interface TrainResponse {
  /** Mean cross-entropy, nats per token. */
  loss: number;
  result: DistroResult;
  /** Trainer nonce of this call (0-based). */
  nonce: number;
  milliseconds: number;
}

export interface ApplyRequest {
  step: number;
  lr: number;
  /** That of the training that follows, if known: weights are prepared for it on the way. */
  previousLr?: number;
  results: DistroResult[];
}

export interface ApplyResponse {
  /** As {@linkcode Trainer.weightsFingerprint}. */
  weightsFingerprint: string;
  milliseconds: number;
}

export interface ModelFiles {
  /** Text of config.json. */
  config: string;
  /** Text of tokenizer.json, or null. */
  tokenizer: string | null;
}

/** How weights are written. */
export interface WeightFormat {
  /** Default F32, the weights as they are; BF16 halves the size and rounds. */
  dtype?: "F32" | "BF16";
  /** Largest file, bytes; a tensor that is larger has a file for itself. Default 5 GiB. */
  maxFileBytes?: number;
}

/** Processor that runs the model's graphs; `cuda:1` is the second card, `cuda` the first. */
export type ComputeDevice = "cpu" | "cuda" | "webgpu" | `cuda:${number}`;

/** `auto`: CUDA where it works, else the CPU. */
export type DeviceChoice = "auto" | ComputeDevice;

export interface TrainerOptions {
  /** Directory with config.json and *.safetensors, or the files' content received from peers. */
  model:
    | { directory: string }
    | { files: ModelFiles; parameters: Map<string, Float32Array<ArrayBuffer>> };
  sequenceLength: number;
  microBatchSize: number;
  optimizer: Optimizer;
  /** Intra-op threads of the runtime; data-parallel ranks share them. */
  threads: number;
  /**
   * Default `auto`. A list holds one for each data-parallel rank, and begins again when there are more
   * ranks. Optimizer state and DisTrO compression stay on the CPU.
   */
  device?: DeviceChoice | readonly DeviceChoice[];
  /** Ranks that share each batch (docs/protocol/training-math.md section 2). Default: one a device. */
  dataParallelism?: number;
  /** Bytes that training may take; a model that needs more is refused. Default: what is free. */
  memoryLimit?: number;
  /** Tokens of the longest text for `score` and `generate`, which take memory too. Default: they are not used. */
  longestText?: number;
  signal?: AbortSignal;
}

export interface Trainer {
  readonly numParameters: bigint;
  readonly vocabSize: number;
  /** The device in use by each data-parallel rank. */
  readonly devices: readonly ComputeDevice[];
  /** Parameter names in ascending byte order with their shapes. */
  readonly parameters: ReadonlyArray<{ name: string; shape: number[] }>;
  readonly files: ModelFiles;
  /** Trains one batch. Aborting `signal` stops between micro-batches and rejects. */
  train(request: TrainRequest, signal?: AbortSignal): Promise<TrainResponse>;
  /** Applies one round's accepted results in the given order (training-math.md section 3.3). */
  apply(request: ApplyRequest): Promise<ApplyResponse>;
  /** Mean loss of token rows [batch, sequenceLength] without changing anything. */
  evaluate(tokens: Int32Array, batch: number): Promise<number>;
  /**
   * Log-probability (nats) of each of the last `count` tokens, given all before it; without changing
   * anything. Takes one pass through the model.
   */
  score(tokens: readonly number[], count: number): Promise<Float32Array>;
  /**
   * Greedy (temperature 0, the default) or sampled continuation, fixed by `seed`, until an end token
   * or the model's last position; returns only the new token ids. Aborting `signal` ends it within
   * one pass through the model, with the tokens made so far.
   */
  generate(
    prompt: readonly number[],
    options: { maxNewTokens: number; temperature?: number; seed?: number },
    signal?: AbortSignal,
  ): Promise<number[]>;
  /** SHA-256 over all parameters in name order (fp32 little-endian), hex. */
  weightsSha256(): Promise<string>;
  /**
   * A much cheaper number that depends on every bit, 32 hexadecimal digits: to see that clients agree.
   * It does not withstand somebody who looks for other weights with the same one.
   */
  weightsFingerprint(): Promise<string>;
  /** Copy of one parameter, for peers that join. */
  parameter(name: string): Promise<Float32Array<ArrayBuffer>>;
  /** Writes config.json, tokenizer.json and the weights into a fresh directory, atomically. */
  saveCheckpoint(directory: string, format?: WeightFormat): Promise<void>;
  close(): Promise<void>;
}
