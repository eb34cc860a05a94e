/** One compiled graph: typed arrays in, typed arrays out. */
import type { InferenceSession } from "onnxruntime-node";
import { PsycheError } from "../../error.ts";
import { COPY_STOP } from "../graph/passes.ts";
import type { ComputeDevice } from "../trainer.ts";
import type { OnnxRuntime } from "./onnx_runtime.ts";

export type NumberArray =
  | Float32Array<ArrayBuffer>
  | Float64Array<ArrayBuffer>
  | Int32Array<ArrayBuffer>;

/** What the binding says when it meets {@linkcode COPY_STOP} among the outputs of a run that succeeded. */
const STOPPED = "Non tensor type is temporarily not supported.";

/** A small model's nodes take about as long. */
const SPIN_MICROS = "50";

export class Session {
  readonly #ort: OnnxRuntime;
  readonly #session: InferenceSession;

  private constructor(ort: OnnxRuntime, session: InferenceSession) {
    this.#ort = ort;
    this.#session = session;
  }

  /**
   * Compiles a model for a device, by default the CPU. Threads that wait for the next node spin for a
   * moment, which is shorter than falling asleep; not longer, because clients share cores.
   * `fuse: false` keeps the runtime from fusing nodes: its fused float64 kernels are incomplete.
   *
   * @throws PsycheError `GRAPH_REFUSED` when the runtime cannot compile the model.
   */
  static async create(
    ort: OnnxRuntime,
    model: Uint8Array<ArrayBuffer>,
    options: { threads: number; device?: ComputeDevice; fuse?: boolean },
  ): Promise<Session> {
    try {
      const session = await ort.InferenceSession.create(model, {
        executionProviders: [provider(options.device ?? "cpu")],
        intraOpNumThreads: options.threads,
        interOpNumThreads: 1,
        executionMode: "sequential",
        graphOptimizationLevel: options.fuse === false ? "basic" : "all",
        // Planned memory patterns take about half as much memory again and save no time.
        enableMemPattern: false,
        logSeverityLevel: 3,
        extra: { session: { intra_op: { allow_spinning: "1", spin_duration_us: SPIN_MICROS } } },
      });
      return new Session(ort, session);
    } catch (cause) {
      throw new PsycheError(
        "GRAPH_REFUSED",
        `The ONNX runtime cannot compile a graph of ${model.length} bytes (${message(cause)}); ` +
          "check the installed onnxruntime-node version.",
        { cause },
      );
    }
  }

  /**
   * Runs the graph. `results` are filled in place; outputs that it does not name are not fetched.
   * Blocks the calling thread for the whole run.
   *
   * @throws PsycheError `GRAPH_RUN_FAILED` when an operator fails, for example for want of memory.
   */
  async run(
    feeds: ReadonlyMap<string, NumberArray>,
    results: ReadonlyMap<string, NumberArray>,
  ): Promise<void> {
    const inputs = tensors(this.#ort, this.#session.inputMetadata, feeds);
    const { outputMetadata } = this.#session;
    const wanted = outputMetadata.filter((output) => results.has(output.name));
    const stops = outputMetadata.some(({ name }) => name === COPY_STOP);
    const outputs: InferenceSession.FetchesType = {
      ...(stops ? { [COPY_STOP]: null } : {}),
      ...tensors(this.#ort, wanted, results),
    };
    try {
      await this.#session.run(inputs, outputs);
    } catch (cause) {
      // The run is over and `results` are filled; only their copies were not made.
      if (message(cause) === STOPPED) return;
      throw new PsycheError(
        "GRAPH_RUN_FAILED",
        `The ONNX runtime failed in a run (${
          message(cause)
        }); free memory or lower the micro batch size.`,
        { cause },
      );
    }
  }

  async release(): Promise<void> {
    await this.#session.release();
  }
}

/** The runtime's name of a device. */
function provider(device: ComputeDevice): InferenceSession.ExecutionProviderConfig {
  const [name, card] = device.split(":");
  return card === undefined ? name : { name: "cuda", deviceId: Number(card) };
}

function tensors(
  ort: OnnxRuntime,
  metadata: readonly InferenceSession.ValueMetadata[],
  arrays: ReadonlyMap<string, NumberArray>,
): InferenceSession.FeedsType {
  return Object.fromEntries(metadata.map((value) => {
    const data = arrays.get(value.name);
    const shape = value.isTensor ? value.shape.map(Number) : [];
    const length = shape.reduce((a, b) => a * b, 1);
    if (data === undefined || data.length !== length) {
      throw new PsycheError(
        "GRAPH_VALUE_INVALID",
        `${value.name} needs ${length} elements and got ${data?.length ?? "none"}; ` +
          "feed an array of the graph's shape.",
      );
    }
    if (data instanceof Float32Array) {
      return [value.name, new ort.Tensor("float32", data, shape)];
    }
    if (data instanceof Float64Array) {
      return [value.name, new ort.Tensor("float64", data, shape)];
    }
    return [value.name, new ort.Tensor("int32", data, shape)];
  }));
}

function message(cause: unknown): string {
  return cause instanceof Error ? cause.message : String(cause);
}
