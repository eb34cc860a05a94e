/** The trainer proper: owns weights and optimizer state and blocks its thread while it computes. */
import { PsycheError } from "../error.ts";
import type { AbortFlag } from "./abort_flag.ts";
import { checkMemory } from "./check_memory.ts";
import { DataParallelGradients } from "./data_parallel.ts";
import { clipFactor } from "./gradient_math.ts";
import { Inference } from "./inference/inference.ts";
import type { TokenOptions } from "./inference/token_generator.ts";
import { weightsFingerprint } from "./kernels/fingerprint.ts";
import { KernelThreads } from "./kernels/kernel_threads.ts";
import { ModelMemory } from "./kernels/model_memory.ts";
import { LlamaRuntime } from "./llama_runtime.ts";
import { parseLlamaConfig } from "./model/llama_config.ts";
import {
  assembleModel,
  type Model,
  type Parameter,
  readConfigText,
  readModelDirectory,
  writeModelDirectory,
} from "./model/model_directory.ts";
import { weightsSha256 } from "./model/weights_sha256.ts";
import { createOptimizer } from "./create_optimizer.ts";
import type { Optimizer, TrainedParameter } from "./optimizer.ts";
import { chooseDevices, countRanks } from "./runtime/device_list.ts";
import { loadOnnxRuntime } from "./runtime/onnx_runtime.ts";
import type {
  ApplyRequest,
  ApplyResponse,
  ComputeDevice,
  ModelFiles,
  TrainerOptions,
  TrainRequest,
  TrainResponse,
  WeightFormat,
} from "./trainer.ts";

export type EngineOptions = Omit<TrainerOptions, "signal">;

/** What the proxy on the other side answers without asking. */
export interface ModelSummary {
  numParameters: bigint;
  vocabSize: number;
  devices: ComputeDevice[];
  parameters: { name: string; shape: number[] }[];
  files: ModelFiles;
}

export class TrainingEngine {
  readonly #model: Model;
  readonly #runtime: LlamaRuntime;
  readonly #inference: Inference;
  readonly #optimizer: Optimizer;
  readonly #clipGradNorm: number | null;
  readonly #devices: ComputeDevice[];
  readonly #dataParallel: DataParallelGradients;
  readonly #threads: KernelThreads;
  readonly #fingerprint: () => string;
  /** Of the weights as they are; all members of a run may ask for it. */
  #sha256: string | null = null;
  #nonce = 0;

  private constructor(
    model: Model,
    runtime: LlamaRuntime,
    inference: Inference,
    optimizer: Optimizer,
    clipGradNorm: number | null,
    devices: ComputeDevice[],
    dataParallel: DataParallelGradients,
    threads: KernelThreads,
  ) {
    this.#model = model;
    this.#runtime = runtime;
    this.#inference = inference;
    this.#optimizer = optimizer;
    this.#clipGradNorm = clipGradNorm;
    this.#devices = devices;
    this.#dataParallel = dataParallel;
    this.#threads = threads;
    this.#fingerprint = weightsFingerprint(model.parameters.map(({ data }) => data), threads);
  }

  /** Loads the model and prepares the optimizer. @throws PsycheError as documented in `Trainer`. */
  static async create(options: EngineOptions): Promise<TrainingEngine> {
    const config = parseLlamaConfig(
      "directory" in options.model
        ? await readConfigText(options.model.directory)
        : options.model.files.config,
    );
    checkMemory(config, options);
    const choices = [options.device ?? "auto"].flat();
    const ranks = countRanks(choices, options.dataParallelism);
    const ort = await loadOnnxRuntime();
    const devices = await chooseDevices(ort, choices, ranks);
    const loaded = "directory" in options.model
      ? await readModelDirectory(options.model.directory)
      : assembleModel(
        options.model.files,
        new Map([...options.model.parameters].map(([name, data]) => [name, { data }])),
      );
    const { optimizer, threads, sequenceLength, microBatchSize } = options;
    const [first, ...others] = devices.map((device) => ({
      sequenceLength,
      microBatchSize,
      threads: ranks === 1 ? threads : Math.max(Math.min(threads, 1), Math.floor(threads / ranks)),
      device,
    }));
    const memory = new ModelMemory(new KernelThreads(threads));
    try {
      const model = {
        ...loaded,
        parameters: loaded.parameters.map((own) => inMemory(own, memory)),
      };
      const gradients = new Map(model.parameters.map(({ name, gradient }) => [name, gradient]));
      const runtime = new LlamaRuntime(ort, model, first, memory, gradients);
      return new TrainingEngine(
        model,
        runtime,
        // The other ranks rest meanwhile.
        new Inference(ort, model, { ...first, threads }),
        createOptimizer(optimizer, model.parameters, memory.threads),
        optimizer.kind === "Dummy" ? null : optimizer.clipGradNorm,
        devices,
        await DataParallelGradients.open(runtime, model.files.config, others),
        memory.threads,
      );
    } catch (error) {
      memory.threads.close();
      throw error;
    }
  }

  summary(): ModelSummary {
    const { config, files, parameters } = this.#model;
    return {
      numParameters: parameters.reduce((sum, { data }) => sum + BigInt(data.length), 0n),
      vocabSize: config.vocabSize,
      devices: this.#devices,
      parameters: parameters.map(({ name, shape }) => ({ name, shape })),
      files,
    };
  }

  /**
   * One batch (docs/protocol/training-math.md sections 2 and 3.2). Until the gradients are known to
   * be finite no weight has changed, so a batch that fails or is aborted counts in the nonce only (and
   * a reset asked for stays done).
   *
   * @throws PsycheError `TRAINING_ABORTED`, `TOKENS_INVALID`, `LEARNING_RATE_INVALID`,
   * `GRADIENT_NOT_FINITE`
   */
  async train(request: TrainRequest, abort?: AbortFlag): Promise<TrainResponse> {
    const nonce = this.#nonce++;
    this.#weightsChange();
    const start = performance.now();
    checkRate(request.lr);
    checkRate(request.previousLr);
    if (request.resetOptimizer) this.#optimizer.reset();
    const weights = this.#optimizer.lookAhead(request.previousLr);
    const { loss, gradients } = await this.#dataParallel.gradients(weights, request, abort);
    if (!Number.isFinite(loss)) {
      throw new PsycheError(
        "GRADIENT_NOT_FINITE",
        `The loss of step ${request.step} is ${loss}, so the batch is refused; ` +
          "lower the learning rate or load an earlier checkpoint.",
      );
    }
    const clip = clipFactor(this.#runtime.math.norm(gradients), this.#clipGradNorm);
    const { lr, round } = request;
    const result = this.#optimizer.step({ gradients, clip, lr, round });
    return { loss, result, nonce, milliseconds: performance.now() - start };
  }

  /** @throws PsycheError `DISTRO_RESULT_INVALID`, `LEARNING_RATE_INVALID`; weights unchanged then. */
  apply({ lr, previousLr, results }: Omit<ApplyRequest, "step">): ApplyResponse {
    const start = performance.now();
    checkRate(lr);
    if (previousLr !== undefined) checkRate(previousLr);
    this.#weightsChange();
    this.#optimizer.apply(results, lr, previousLr);
    const weightsFingerprint = this.weightsFingerprint();
    return { weightsFingerprint, milliseconds: performance.now() - start };
  }

  /** @throws PsycheError `TOKENS_INVALID` */
  evaluate(tokens: Int32Array, batch: number): Promise<number> {
    return this.#runtime.loss(tokens, batch);
  }

  /** See `Trainer.score`. @throws PsycheError `TOKENS_INVALID` */
  score(tokens: readonly number[], count: number): Promise<Float32Array> {
    return this.#inference.score(tokens, count);
  }

  /**
   * See `Trainer.generate`. A raised `abort` is seen before every pass through the model.
   *
   * @throws PsycheError `GENERATE_OPTION_INVALID`, `TOKENS_INVALID`
   */
  generate(
    prompt: readonly number[],
    options: TokenOptions,
    abort?: AbortFlag,
  ): Promise<number[]> {
    return this.#inference.generate(prompt, options, abort);
  }

  /** SHA-256 over all parameters in name order, fp32 little-endian, hex. */
  weightsSha256(): string {
    return this.#sha256 ??= weightsSha256(this.#model.parameters);
  }

  /** See {@linkcode weightsFingerprint}. */
  weightsFingerprint(): string {
    return this.#fingerprint();
  }

  /** @throws PsycheError `MODEL_PARAMETER_UNKNOWN` */
  parameter(name: string): Float32Array<ArrayBuffer> {
    const found = this.#model.parameters.find((parameter) => parameter.name === name);
    if (found === undefined) {
      throw new PsycheError(
        "MODEL_PARAMETER_UNKNOWN",
        `The model has no parameter ${name}; ask for one of the trainer's parameters.`,
      );
    }
    return found.data.slice();
  }

  /** @throws PsycheError `MODEL_DIRECTORY_EXISTS` */
  async saveCheckpoint(directory: string, format?: WeightFormat): Promise<void> {
    await writeModelDirectory(directory, this.#model, format);
  }

  async release(): Promise<void> {
    await this.#dataParallel.close();
    await this.#runtime.release();
    await this.#inference.release();
    this.#threads.close();
  }

  /** What is remembered of the weights is wrong from here on. Calls come one after the other. */
  #weightsChange(): void {
    this.#inference.weightsChanged();
    this.#sha256 = null;
  }
}

/** A parameter moved to where kernels reach it, with its gradient and what an optimizer keeps. */
function inMemory(
  { name, shape, data: loaded }: Parameter,
  memory: ModelMemory,
): TrainedParameter & { gradient: Float32Array<ArrayBuffer> } {
  const [data, gradient, first, second] = memory.take(loaded.length, 4);
  data.set(loaded);
  return { name, shape, data, gradient, state: [first, second] };
}

function checkRate(lr: number): void {
  if (Number.isFinite(lr) && lr >= 0) return;
  throw new PsycheError(
    "LEARNING_RATE_INVALID",
    `The learning rate is ${lr}; correct the run's learning rate schedule.`,
  );
}
