/** Training steps of this toolkit, of a large matrix product and of PyTorch, measured in turns. */
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { matrixFlops } from "../graph/matrix_flops.ts";
import { estimateMemory } from "../memory_estimate.ts";
import { initModel } from "../model/init.ts";
import { trainingGraph } from "../model/llama_graph.ts";
import { type BenchCase, PRODUCT_EDGE } from "./bench_case.ts";
import { type Action, Contestant, type ContestantTask, type Measurement } from "./contestant.ts";
import { JaxRival } from "./jax_rival.ts";
import { compareSteps, ratio, type Rival, type Times, times } from "./times.ts";

export interface CompareOptions {
  /** Of large models; small ones take little time and vary more, so {@linkcode SMALL_TIMES} as many. */
  repetitions: number;
  threads: number;
  /** A Python with torch; null leaves the comparison out. */
  python: string | null;
  /** Whether jax-js, which is downloaded for it, trains the small models too. */
  jax: boolean;
  /** Asked between two measurements. */
  signal?: AbortSignal;
  onMeasured?: (done: number, total: number) => void;
}

export interface Comparison {
  name: string;
  parameters: number;
  tokens: number;
  /** Floating point operations of the matrix products of one step. */
  flops: number;
  /** AdamW: forward, backward, clipping, update. */
  step: Times;
  /** Share of the step, by the medians, in the loops of clipping and update. */
  kernelShare: number;
  /** And that of everything outside the graph and those loops. */
  scriptShare: number;
  product: Times;
  /** Rate of the step's products while the graph runs, over that of the large product. */
  efficiency: Times;
  distroStep: Times;
  /** Part of a DisTrO step that AdamW has not: neither making nor clipping the gradients. */
  distroOverhead: Times;
  /** Results of three clients. */
  distroApply: Times;
  /** (overhead + apply) / (step + apply), by the medians. */
  distroShare: number;
  peakBytes: number;
  distroPeakBytes: number;
  estimatedBytes: number;
  torch: PyTorchRival | null;
  /** Null when not asked for; in words why it is missing. */
  jax: Rival | string | null;
}

export interface PyTorchRival extends Rival {
  product: Times;
  /** The ratio of the times on the processor, all threads together. */
  processorRatio: Times;
}

/** Before every measurement: threads of the process before may still spin, waiting for work. */
const PAUSE_MILLISECONDS = 100;
/** Steps before the first that counts. */
const WARM_UP = 2;
const SMALL_TIMES = 3;

/**
 * Measures one case. The processes take turns, step by step, so that what else the machine does
 * meets all of them alike.
 *
 * @throws PsycheError `BENCH_PROCESS_ENDED`
 */
export async function compareTraining(
  { name, config, batch, sequenceLength, small }: BenchCase,
  { repetitions, threads, python, jax: withJax, signal, onMeasured }: CompareOptions,
): Promise<Comparison> {
  const turnsTaken = WARM_UP + repetitions * (small ? SMALL_TIMES : 1);
  const directory = await Deno.makeTempDir({ prefix: "psyche-bench-" });
  const started: { end(): Promise<void> }[] = [];
  try {
    await initModel(join(directory, "model"), config, 1);
    const task = {
      directory: join(directory, "model"),
      batch,
      sequenceLength,
      threads,
      productEdge: PRODUCT_EDGE,
    };
    const start = (command: string[], optimizer: ContestantTask["optimizer"]) => {
      const contestant = new Contestant(command, { ...task, optimizer });
      started.push(contestant);
      return contestant;
    };
    const own = [Deno.execPath(), "run", "--allow-all", besideThis("toolkit_contestant.ts")];
    const adamw = start(own, "adamw");
    const distro = start(own, "distro");
    const torch = python === null
      ? null
      : start([python, besideThis("torch_contestant.py")], "adamw");
    const jax = withJax && small ? new JaxRival({ ...task, optimizer: "adamw" }, WARM_UP) : null;
    if (jax !== null) started.push(jax);
    const turns: [string, Contestant, Action][] = [
      ["step", adamw, "step"],
      ...(torch === null ? [] : [["torch step", torch, "step"] as [string, Contestant, Action]]),
      ["distro step", distro, "step"],
      ["distro apply", distro, "apply"],
      ["product", adamw, "product"],
      ...(torch === null ? [] : [["torch product", torch, "product"] as typeof turns[number]]),
    ];
    const measured = new Map<string, Measurement[]>(turns.map(([key]) => [key, []]));
    for (let i = 0; i < turnsTaken; i++) {
      for (const [key, contestant, action] of turns) {
        await delay(PAUSE_MILLISECONDS, undefined, { signal });
        measured.get(key)!.push(await contestant.measure(action));
      }
      await jax?.takeTurn();
      onMeasured?.(i + 1, turnsTaken);
    }

    const all = (key: string, value = (m: Measurement) => m.milliseconds) =>
      measured.get(key)!.slice(WARM_UP).map(value);
    const of = (...values: Parameters<typeof all>) => times(all(...values));
    const processor = (m: Measurement) => m.processorMilliseconds;
    const peak = (key: string) => measured.get(key)!.at(-1)!.peakBytes;
    const { graph, outputs } = trainingGraph(config, { batch, sequenceLength });
    const flops = matrixFlops(graph, outputs);
    const step = of("step");
    const productOverGraph = ratio(all("product"), all("step", (m) => m.graphMilliseconds));
    const work = flops / (2 * PRODUCT_EDGE ** 3);
    const distroStep = of("distro step");
    const overhead = of(
      "distro step",
      (m) => m.milliseconds - m.graphMilliseconds - m.sharedMilliseconds,
    );
    const apply = of("distro apply");
    const shape = { sequenceLength, microBatchSize: batch };
    const estimate = estimateMemory(config, { ...shape, optimizer: ADAMW });
    return {
      name,
      parameters: estimate.parameters,
      tokens: batch * sequenceLength,
      flops,
      step,
      kernelShare: of("step", (m) => m.kernelMilliseconds).median / step.median,
      scriptShare: of("step", inScript).median / step.median,
      product: of("product"),
      efficiency: {
        min: work * productOverGraph.min,
        median: work * productOverGraph.median,
      },
      distroStep,
      distroOverhead: overhead,
      distroApply: apply,
      distroShare: (overhead.median + apply.median) / (distroStep.median + apply.median),
      peakBytes: peak("step"),
      distroPeakBytes: peak("distro apply"),
      estimatedBytes: estimate.totalBytes,
      torch: torch === null ? null : {
        ...compareSteps(measured.get("torch step")!, measured.get("step")!, WARM_UP),
        product: of("torch product"),
        processorRatio: ratio(all("torch step", processor), all("step", processor)),
      },
      jax: withJax && !small
        ? "this model is too large for jax-js"
        : jax?.comparedWith(measured.get("step")!) ?? null,
    };
  } finally {
    await Promise.all(started.map((contestant) => contestant.end()));
    await Deno.remove(directory, { recursive: true });
  }
}

const ADAMW = {
  kind: "AdamW",
  betas: [0.9, 0.95],
  weightDecay: 0.1,
  eps: 1e-8,
  clipGradNorm: 1,
} as const satisfies Parameters<typeof estimateMemory>[1]["optimizer"];

function inScript({ milliseconds, graphMilliseconds, kernelMilliseconds }: Measurement): number {
  return milliseconds - graphMilliseconds - kernelMilliseconds;
}

function besideThis(file: string): string {
  return fileURLToPath(new URL(file, import.meta.url));
}
