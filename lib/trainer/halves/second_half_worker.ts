/**
 * The worker of {@linkcode SecondHalf}: graphs of its own on arrays of another thread. Like the threads of
 * loops it sleeps until it is woken, which takes a tenth of the time that an event does.
 */
import { KernelMemory } from "../kernels/kernel_memory.ts";
import { receive } from "../kernels/receive.ts";
import { Signal } from "../kernels/signal.ts";
import { ModelGraphs } from "../model_graphs.ts";
import { loadOnnxRuntime } from "../runtime/onnx_runtime.ts";
import {
  ANSWERED,
  ASKED,
  type HalfAnswer,
  type HalfMessage,
  type HalfRequest,
  type HalfStart,
  type SharedArrays,
} from "./second_half.ts";
import { toPortable } from "../worker_protocol.ts";

interface WorkerScope {
  onmessage: ((event: MessageEvent<HalfStart>) => void) | null;
  postMessage(message: unknown): void;
  close(): void;
}

const scope = globalThis as unknown as WorkerScope;

scope.onmessage = async ({ data: { port, config, threads, signals } }) => {
  const asked = new Signal(signals, ASKED);
  const answered = new Signal(signals, ANSWERED);
  const graphs = new ModelGraphs(await loadOnnxRuntime(), config, { threads, device: "cpu" });
  const memories = new Map<number, KernelMemory>();
  const told: SharedArrays[] = [];
  const known: { name: string; data: Float32Array<ArrayBuffer> }[][] = [];
  scope.postMessage("ready");

  function look({ memories: parts, arrays }: SharedArrays) {
    for (const part of parts) {
      if (!memories.has(part.id)) memories.set(part.id, new KernelMemory(part));
    }
    return arrays.map(({ name, place: { id, address, length } }) => ({
      name,
      data: memories.get(id)!.alias(address, length),
    }));
  }

  /** Arrays by their number. */
  const arraysOf = (number: number) => known[number] ??= look(told[number]);

  async function answer(
    { shape, feeds, weights, gradients }: HalfRequest,
  ): Promise<HalfAnswer> {
    try {
      const to = new Map(arraysOf(gradients).map(({ name, data }) => [name, data]));
      return { loss: await graphs.train(shape, feeds, arraysOf(weights), to) };
    } catch (error) {
      return { error: toPortable(error) };
    }
  }

  for (;;) {
    const message = receive<HalfMessage>(port, asked);
    if (message === "end" || message === undefined) break;
    if ("arrays" in message) told.push(message);
    else {
      port.postMessage(await answer(message));
      answered.raise();
    }
  }
  await graphs.release();
  scope.close();
};
