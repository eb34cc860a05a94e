/** The worker of {@linkcode SecondHalf}: graphs of its own on arrays of another thread. */
import { PsycheError } from "../error.ts";
import { KernelMemory } from "./kernels/kernel_memory.ts";
import { ModelGraphs } from "./model_graphs.ts";
import { loadOnnxRuntime } from "./runtime/onnx_runtime.ts";
import type { SecondHalfMethods } from "./second_half.ts";
import { serveCalls } from "./worker_server.ts";

let graphs: ModelGraphs | undefined;
const memories = new Map<number, KernelMemory>();
/** Weights and gradients that were shared. */
const shared: { name: string; data: Float32Array<ArrayBuffer> }[][] = [];

const methods: SecondHalfMethods = {
  async open(config, threads) {
    graphs = new ModelGraphs(await loadOnnxRuntime(), config, { threads, device: "cpu" });
  },

  share({ memories: parts, arrays }) {
    for (const part of parts) {
      if (!memories.has(part.id)) memories.set(part.id, new KernelMemory(part));
    }
    shared.push(arrays.map(({ name, place: { id, address, length } }) => ({
      name,
      data: memories.get(id)!.alias(address, length),
    })));
    return Promise.resolve(shared.length - 1);
  },

  train(shape, feeds, weights, gradients) {
    if (graphs === undefined) {
      throw new PsycheError("TRAINER_CLOSED", "The half has no model; create a new trainer.");
    }
    const to = new Map(shared[gradients].map(({ name, data }) => [name, data]));
    return graphs.train(shape, feeds, shared[weights], to);
  },

  async release() {
    await graphs?.release();
    graphs = undefined;
  },
};

serveCalls(methods, () => []);
