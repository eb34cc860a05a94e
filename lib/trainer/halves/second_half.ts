/** The thread that computes the second half of micro batches, in the arrays of the thread that asks. */
import { PsycheError } from "../../error.ts";
import type { Gradients } from "../gradient_math.ts";
import { memoryOf, type MemoryParts, type Place, placeOf } from "../kernels/kernel_memory.ts";
import { receive } from "../kernels/receive.ts";
import { Signal } from "../kernels/signal.ts";
import type { LlamaConfig } from "../model/llama_config.ts";
import type { BatchShape } from "../model/llama_graph.ts";
import type { BatchFeeds, WeightArrays } from "../model_graphs.ts";
import { fromPortable, type PortableError } from "../worker_protocol.ts";

/** What its worker is handed when it begins. It says that it is ready by any message of its own. */
export interface HalfStart {
  port: MessagePort;
  config: LlamaConfig;
  threads: number;
  /** Words of the signals {@linkcode ASKED} and {@linkcode ANSWERED}. */
  signals: Int32Array<SharedArrayBuffer>;
}

/** Signals for messages in the port: to the worker, from it. */
export const ASKED = 0;
export const ANSWERED = 1;

/** Arrays of the model's parameters, and where they lie. Those told of first are number 0. */
export interface SharedArrays {
  memories: MemoryParts[];
  arrays: { name: string; place: Place }[];
}

/** What `ModelGraphs.train` gets, with the numbers of arrays told of before. */
export interface HalfRequest {
  shape: BatchShape;
  feeds: BatchFeeds;
  weights: number;
  gradients: number;
}

export type HalfMessage = SharedArrays | HalfRequest | "end";

export type HalfAnswer = { loss: number } | { error: PortableError };

/** Both halves take about as long, so a thread that needs this much longer has died. */
const LIMIT_MILLISECONDS = 600_000;

export class SecondHalf {
  readonly #port: MessagePort;
  readonly #asked: Signal;
  readonly #answered: Signal;
  readonly #numbers = new WeakMap<WeightArrays | Gradients, number>();
  #known = 0;

  private constructor(port: MessagePort, signals: HalfStart["signals"]) {
    this.#port = port;
    this.#asked = new Signal(signals, ASKED);
    this.#answered = new Signal(signals, ANSWERED);
  }

  /** @throws PsycheError `TRAINER_FAILED` when the thread does not begin */
  static async open(
    config: LlamaConfig,
    threads: number,
    module: URL = new URL("./second_half_worker.ts", import.meta.url),
  ): Promise<SecondHalf> {
    const { port1, port2 } = new MessageChannel();
    const signals = new Int32Array(new SharedArrayBuffer(8));
    const worker = new Worker(module, { type: "module" });
    const ready = Promise.withResolvers<unknown>();
    worker.onmessage = ready.resolve;
    worker.onerror = (event) => {
      event.preventDefault();
      ready.reject(failed(event.message));
    };
    const start: HalfStart = { port: port2, config, threads, signals };
    worker.postMessage(start, [port2]);
    await ready.promise;
    return new SecondHalf(port1, signals);
  }

  /**
   * As `ModelGraphs.train` for arrays in kernel memories, which are told of once: what is one list or map
   * for the caller has to hold the same arrays forever.
   *
   * @returns waits for the end, blocking, and gives the loss
   * @throws PsycheError that function: as there, or `TRAINER_FAILED` when the thread does not answer
   */
  begin(
    shape: BatchShape,
    feeds: BatchFeeds,
    weights: WeightArrays,
    gradients: Gradients,
  ): () => number {
    this.#tell({
      shape,
      feeds,
      weights: this.#number(weights, weights.map(({ name, data }) => [name, data])),
      gradients: this.#number(gradients, [...gradients]),
    });
    return () => this.#answer();
  }

  close(): void {
    this.#tell("end");
    this.#port.close();
  }

  #answer(): number {
    const answer = receive<HalfAnswer>(this.#port, this.#answered, LIMIT_MILLISECONDS);
    if (answer === undefined) throw failed("no answer");
    if ("error" in answer) throw fromPortable(answer.error);
    return answer.loss;
  }

  #tell(message: HalfMessage): void {
    this.#port.postMessage(message);
    this.#asked.raise();
  }

  #number(
    key: WeightArrays | Gradients,
    arrays: readonly (readonly [string, Float32Array])[],
  ): number {
    let number = this.#numbers.get(key);
    if (number === undefined) {
      this.#tell({
        memories: [...new Set(arrays.map(([, data]) => memoryOf(data)!.parts))],
        arrays: arrays.map(([name, data]) => ({ name, place: placeOf(data)! })),
      });
      this.#numbers.set(key, number = this.#known++);
    }
    return number;
  }
}

function failed(why: string): PsycheError {
  return new PsycheError(
    "TRAINER_FAILED",
    `The thread for the second half of a batch failed (${why}); load the last checkpoint again, ` +
      "with --threads 1 if it happens again.",
  );
}
