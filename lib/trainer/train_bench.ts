/**
 * Step time of the demo's model class: `deno run -A lib/trainer/train_bench.ts [vocabulary] [batch]
 * [sequence] [threads]`. Compares with the rate of one large matrix product in the same process.
 */
import { loadOnnxRuntime } from "./runtime/onnx_runtime.ts";
import { Session } from "./runtime/session.ts";
import { compile } from "./graph/passes.ts";
import { gemm } from "./graph/linear.ts";
import { Graph } from "./graph/tensor.ts";
import { initModel } from "./model/init.ts";
import { nanoConfig } from "./model/llama_config.ts";
import { TrainingEngine } from "./training_engine.ts";

const [vocabulary = 512, batch = 8, sequenceLength = 128, threads = 2] = Deno.args.map(Number);
const STEPS = 20;

async function matmulRate(): Promise<number> {
  const n = 1024;
  const graph = new Graph();
  const model = compile(graph, { y: gemm(graph.input("a", [n, n]), graph.input("b", [n, n])) });
  const session = await Session.create(await loadOnnxRuntime(), model, { threads });
  const feeds = new Map([
    ["a", new Float32Array(n * n).fill(0.5)],
    ["b", new Float32Array(n * n).fill(0.5)],
  ]);
  const results = new Map([["y", new Float32Array(n * n)]]);
  const times = await timed(12, () => session.run(feeds, results));
  await session.release();
  return 2 * n ** 3 / times[0] / 1e6;
}

/** Sorted milliseconds of `count` runs after two to warm up. */
async function timed(count: number, action: (i: number) => Promise<unknown>): Promise<number[]> {
  const times: number[] = [];
  for (let i = -2; i < count; i++) {
    const start = performance.now();
    await action(i + 2);
    if (i >= 0) times.push(performance.now() - start);
  }
  return times.sort((a, b) => a - b);
}

function report(name: string, times: number[], tokens: number) {
  const median = times[times.length >> 1];
  console.log(
    `${name}: median ${median.toFixed(1)} ms, min ${times[0].toFixed(1)} ms, ` +
      `${Math.round(tokens / median * 1000)} tokens/s`,
  );
}

const directory = await Deno.makeTempDir();
const config = nanoConfig(vocabulary);
await initModel(`${directory}/model`, config, 1);
const rate = await matmulRate();
const tokens = Int32Array.from(
  { length: batch * sequenceLength },
  (_, i) => i * i % vocabulary,
);
for (const kind of ["AdamW", "Distro"] as const) {
  const engine = await TrainingEngine.create({
    model: { directory: `${directory}/model` },
    sequenceLength,
    microBatchSize: batch,
    threads,
    optimizer: kind === "AdamW"
      ? { kind, betas: [0.9, 0.95], weightDecay: 0, eps: 1e-8, clipGradNorm: 1 }
      : {
        kind,
        clipGradNorm: 1,
        weightDecay: null,
        compressionDecay: 0.999,
        compressionTopk: 8,
        compressionChunk: 64,
        quantize1bit: true,
      },
  });
  const lr = 1e-4;
  const train = (round: number) =>
    engine.train(
      { step: round + 1, tokens, batch, lr, previousLr: lr, resetOptimizer: false, round },
      () => false,
    );
  const times = await timed(STEPS, train);
  report(`${kind} step`, times, tokens.length);
  if (kind === "Distro") {
    const results = await Promise.all([train(100), train(101), train(102)]);
    const apply = await timed(
      5,
      () => Promise.resolve(engine.apply({ lr, results: results.map((r) => r.result) })),
    );
    report("apply of three results, with the hash of the weights", apply, tokens.length);
  } else {
    const { numParameters } = engine.summary();
    const products = Number(numParameters) - vocabulary * config.hiddenSize;
    const attention = config.layers * 12 * config.hiddenSize * sequenceLength / 2;
    const flops = (6 * products + attention) * tokens.length;
    const share = flops / times[0] / 1e6 / rate;
    console.log(
      `${numParameters} parameters, ${(flops / times[0] / 1e6).toFixed(0)} GFLOP/s in the best ` +
        `step, ${(100 * share).toFixed(0)} % of a 1024^3 product's ${rate.toFixed(0)} GFLOP/s`,
    );
    report("evaluate", await timed(5, () => engine.evaluate(tokens, batch)), tokens.length);
    report(
      "one generated token",
      await timed(5, () => engine.generate([1], { maxNewTokens: 1 })),
      1,
    );
  }
  await engine.release();
}
await Deno.remove(directory, { recursive: true });
