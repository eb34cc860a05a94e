/** A model's graphs over single texts, compiled when first needed. Reads the parameters, never writes them. */
import type { LlamaConfig } from "../model/llama_config.ts";
import type { Model } from "../model/model_directory.ts";
import type { OnnxRuntime } from "../runtime/onnx_runtime.ts";
import { type NumberArray, Session } from "../runtime/session.ts";
import { SessionCache } from "../runtime/session_cache.ts";
import type { ComputeDevice } from "../trainer.ts";

/** How graphs over texts are run. */
export interface TextOptions {
  threads: number;
  device?: ComputeDevice;
}

export class TextGraphs {
  readonly #ort: OnnxRuntime;
  readonly #model: Model;
  readonly #options: TextOptions;
  readonly #sessions: SessionCache;

  /** @param most compiled graphs kept */
  constructor(ort: OnnxRuntime, model: Model, options: TextOptions, most: number) {
    this.#ort = ort;
    this.#model = model;
    this.#options = options;
    this.#sessions = new SessionCache(most);
  }

  get config(): LlamaConfig {
    return this.#model.config;
  }

  /**
   * Runs the graph of that key, made by `build` if it is not there.
   *
   * @param feeds everything but the parameters, which are added
   * @param results filled in place
   */
  async run(
    key: string,
    build: (config: LlamaConfig) => Uint8Array<ArrayBuffer>,
    feeds: Map<string, NumberArray>,
    results: ReadonlyMap<string, NumberArray>,
  ): Promise<void> {
    const session = await this.#sessions.get(
      key,
      () => Session.create(this.#ort, build(this.config), this.#options),
    );
    for (const { name, data } of this.#model.parameters) feeds.set(name, data);
    await session.run(feeds, results);
  }

  release(): Promise<void> {
    return this.#sessions.release();
  }
}
