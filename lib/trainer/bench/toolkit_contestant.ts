/** This toolkit's trainer as a measured process; see contestant.ts. */
import process from "node:process";
import { createInterface } from "node:readline";
import type { InferenceSession } from "onnxruntime-node";
import { gemm } from "../graph/linear.ts";
import { KernelThreads } from "../kernels/kernel_threads.ts";
import { compile } from "../graph/passes.ts";
import { Graph } from "../graph/tensor.ts";
import { loadOnnxRuntime } from "../runtime/onnx_runtime.ts";
import { Session } from "../runtime/session.ts";
import { SecondHalf } from "../halves/second_half.ts";
import type { DistroResult } from "../trainer.ts";
import { TrainingEngine } from "../training_engine.ts";
import { BENCH_RATE as lr } from "./bench_case.ts";
import type { Action, ContestantTask, Measurement } from "./contestant.ts";
import { peakBytes } from "./peak_bytes.ts";

const task: ContestantTask = JSON.parse(Deno.args[0]);
const { batch, sequenceLength, threads } = task;

const ort = await loadOnnxRuntime();
/** Time in graphs, with the wait for the other half of a batch. */
let inGraphs = 0;
// All sessions share a class that the library does not export.
const sessions: InferenceSession = Object.getPrototypeOf(await anySession());
const run = sessions.run as (...values: unknown[]) => ReturnType<InferenceSession["run"]>;
sessions.run = async function (...values: unknown[]) {
  const start = performance.now();
  try {
    return await run.apply(this, values);
  } finally {
    inGraphs += performance.now() - start;
  }
};
const { begin } = SecondHalf.prototype;
SecondHalf.prototype.begin = function (...values) {
  const end = begin.apply(this, values);
  return () => {
    const start = performance.now();
    try {
      return end();
    } finally {
      inGraphs += performance.now() - start;
    }
  };
};

let inKernels = 0;
let inShared = 0;
const { loop } = KernelThreads.prototype;
KernelThreads.prototype.loop = function (...values) {
  const run = loop.apply(this, values);
  return (numbers) => {
    const start = performance.now();
    run(numbers);
    const taken = performance.now() - start;
    inKernels += taken;
    if (isShared(values[0], values[1])) inShared += taken;
  };
};

/** Whether a loop is for gradients as such, not for what an optimizer makes of them. */
function isShared(name: string, task: object): boolean {
  return name === "sumOfSquares" || "kernel" in task && task.kernel === "blend";
}

function anySession(): Promise<InferenceSession> {
  const graph = new Graph();
  const one = graph.input("a", [1, 1]);
  return ort.InferenceSession.create(compile(graph, { y: gemm(one, one) }));
}

const engine = await TrainingEngine.create({
  model: { directory: task.directory },
  sequenceLength,
  microBatchSize: batch,
  threads,
  device: "cpu",
  optimizer: task.optimizer === "adamw"
    ? { kind: "AdamW", betas: [0.9, 0.95], weightDecay: 0.1, eps: 1e-8, clipGradNorm: 1 }
    : {
      kind: "Distro",
      clipGradNorm: 1,
      weightDecay: null,
      compressionDecay: 0.999,
      compressionTopk: 8,
      compressionChunk: 64,
      quantize1bit: true,
    },
});
const { vocabSize } = engine.summary();
const tokens = Int32Array.from({ length: batch * sequenceLength }, (_, i) => i * i % vocabSize);
const results: DistroResult[] = [];
let round = 0;
let product: (() => Promise<void>) | undefined;

async function createProduct(): Promise<() => Promise<void>> {
  const n = task.productEdge;
  const graph = new Graph();
  const model = compile(graph, { y: gemm(graph.input("a", [n, n]), graph.input("b", [n, n])) });
  const session = await Session.create(ort, model, { threads });
  const [a, b, y] = [0.5, 0.25, 0].map((value) => new Float32Array(n * n).fill(value));
  return () => session.run(new Map([["a", a], ["b", b]]), new Map([["y", y]]));
}

const actions: Record<Action, () => Promise<number | void>> = {
  product: async () => await (product ??= await createProduct())(),
  async step() {
    const request = { step: ++round, round, tokens, batch, lr, previousLr: lr };
    const { loss, result } = await engine.train({ ...request, resetOptimizer: false });
    results.push(result);
    if (results.length > 3) results.shift();
    return loss;
  },
  apply: () => Promise.resolve(void engine.apply({ lr, previousLr: lr, results })),
};

/** Time that this process has spent on the processor, all threads together. */
function processorMilliseconds(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
}

for await (const line of createInterface({ input: process.stdin })) {
  const action: Action = JSON.parse(line);
  inGraphs = inKernels = inShared = 0;
  const processor = processorMilliseconds();
  const start = performance.now();
  const loss = await actions[action]();
  const measurement: Measurement = {
    milliseconds: performance.now() - start,
    processorMilliseconds: processorMilliseconds() - processor,
    graphMilliseconds: inGraphs,
    kernelMilliseconds: inKernels,
    sharedMilliseconds: inShared,
    peakBytes: peakBytes(),
    loss: loss ?? undefined,
  };
  console.log(JSON.stringify(measurement));
}
await engine.release();
Deno.exit(0);
