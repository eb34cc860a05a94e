/** The worker of a further rank: its own graphs, weights that change with every call. */
import { PsycheError } from "../error.ts";
import { isRaised } from "./abort_flag.ts";
import type { RankMethods } from "./data_parallel_rank.ts";
import { LlamaRuntime } from "./llama_runtime.ts";
import { parameterShapes, parseLlamaConfig } from "./model/llama_config.ts";
import type { Parameter } from "./model/model_directory.ts";
import { loadOnnxRuntime } from "./runtime/onnx_runtime.ts";
import { toPortable } from "./worker_protocol.ts";
import { serveCalls } from "./worker_server.ts";

let opened: { runtime: LlamaRuntime; parameters: Parameter[] } | undefined;

const methods: RankMethods = {
  async open(text, options) {
    const config = parseLlamaConfig(text);
    const parameters = parameterShapes(config).map(({ name, shape }) => ({
      name,
      shape,
      data: new Float32Array(shape.reduce((a, b) => a * b, 1)),
    }));
    const model = { config, files: { config: text, tokenizer: null }, parameters };
    opened = { runtime: new LlamaRuntime(await loadOnnxRuntime(), model, options), parameters };
  },

  async gradients(parcel, batch, abort) {
    try {
      if (opened === undefined) {
        throw new PsycheError("TRAINER_CLOSED", "The rank has no model; create a new trainer.");
      }
      const { runtime, parameters } = opened;
      parameters.forEach((parameter, p) => parameter.data = parcel[p]);
      const isAborted = () => abort !== undefined && isRaised(abort);
      const { loss, gradients } = await runtime.gradients(batch, isAborted);
      // The weights have been used; their arrays carry the gradients home.
      parameters.forEach(({ name }, p) => parcel[p].set(gradients.get(name)!));
      return { parcel, loss };
    } catch (error) {
      return { parcel, error: toPortable(error) };
    }
  },

  async release() {
    await opened?.runtime.release();
    opened = undefined;
  },
};

serveCalls(methods, (answer) => {
  const { parcel } = (answer ?? {}) as Partial<Awaited<ReturnType<RankMethods["gradients"]>>>;
  return parcel?.map(({ buffer }) => buffer) ?? [];
});
