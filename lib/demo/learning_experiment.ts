import { availableParallelism } from "node:os";
import { join } from "node:path";
import { PsycheError } from "../error.ts";
import { readEventLines } from "../events/event_lines.ts";
import { RunMonitor } from "../events/run_monitor.ts";
import { loadRunConfig } from "../operator/load_run_config.ts";
import { prepareDemo } from "../operator/prepare_demo.ts";
import type { Optimizer } from "../protocol/coordinator_state.ts";
import { createProvider } from "../trainer/data/create_provider.ts";
import { demoConfig, SEQUENCES_PER_CLIENT } from "./demo_config.ts";
import { fileFetch } from "./file_fetch.ts";
import { heldOutTokens, runDemo } from "./run_demo.ts";
import { type LearningCurve, trainAlone } from "./train_alone.ts";

export interface LearningExperimentOptions {
  clients: number;
  steps: number;
  seed: number;
  /** Largest learning rate of AdamW; DisTrO takes the run configuration's. */
  adamwRate: number;
  /** Folder of made things, normally `.psyche`. */
  root: string;
  configPath: string;
  /** As in `DemoOptions`. */
  trainCommand: (flags: string[]) => string[];
  signal: AbortSignal;
  onProgress: (what: string, step: number, loss: number) => void;
}

export interface LearningReport {
  clients: number;
  steps: number;
  sequencesPerStep: number;
  sequenceLength: number;
  parameters: number;
  seed: number;
  rates: { adamw: number; distro: number };
  /** Coefficients sent of each block, and the edge of a block. */
  topk: number;
  chunk: number;
  /** Bytes of one uncompressed fp32 gradient, which data-parallel AdamW sends. */
  bytesDense: number;
  weightsEqual: boolean;
  weightsCompared: number;
  curves: LearningCurve[];
}

const HELD_OUT_EVERY = 10;

/**
 * Trains the same initial model on the same sequences in the same order three times: alone with AdamW,
 * alone with DisTrO, and by clients that are processes of their own, over chain and network.
 *
 * @throws PsycheError what the demo and the trainer throw
 */
export async function learningExperiment(
  options: LearningExperimentOptions,
): Promise<LearningReport> {
  const { clients, steps, seed, signal, root, onProgress } = options;
  const base = await loadRunConfig(options.configPath, signal);
  const files = await prepareDemo(root, { seed, signal });
  const { model } = demoConfig(base, {
    clients,
    steps,
    seed,
    modelDirectory: files.modelDirectory,
  });
  const sequencesPerStep = clients * SEQUENCES_PER_CLIENT;
  const data = await createProvider(model.dataLocation, model.maxSeqLen, {
    fetch: fileFetch(files.dataDirectory),
    signal,
  });
  const heldOut = await heldOutTokens(join(files.dataDirectory, "heldout.bin"), model.maxSeqLen);
  const adamw: Optimizer = {
    kind: "AdamW",
    betas: [0.9, 0.95],
    weightDecay: 0.1,
    eps: 1e-8,
    clipGradNorm: 1,
  };
  const { lrSchedule, optimizer: distro } = model;
  if (lrSchedule.kind !== "Cosine" || distro.kind !== "Distro") {
    throw new PsycheError(
      "EXPERIMENT_CONFIG",
      `${options.configPath} has the schedule ${lrSchedule.kind} and the optimizer ` +
        `${distro.kind}; the experiment needs Cosine and Distro.`,
    );
  }
  const alone = (name: string, optimizer: Optimizer, rate: number) =>
    trainAlone({
      name,
      modelDirectory: files.modelDirectory,
      data,
      batch: sequencesPerStep,
      steps,
      optimizer,
      schedule: { ...lrSchedule, baseLr: rate, finalLr: rate / 10 },
      heldOut,
      heldOutEvery: HELD_OUT_EVERY,
      threads: availableParallelism(),
      signal,
      onStep: (step, loss) => onProgress(name, step, loss),
    });
  const network = `DisTrO, ${clients} clients`;
  const curves = [
    await alone("AdamW, alone", adamw, options.adamwRate),
    await alone("DisTrO, alone", distro, lrSchedule.baseLr),
  ];
  const run = await runDemo({
    clients,
    steps,
    seed,
    root,
    configPath: options.configPath,
    trainCommand: options.trainCommand,
    clockRate: 20,
    rpcPort: 0,
    signal,
    onSetup: () => {},
    onProgress: (monitor) => {
      const last = monitor.steps.at(-1);
      if (last !== undefined) onProgress(network, last.step, last.loss);
    },
    onLogFailure(error) {
      throw error;
    },
  });
  const monitor = await replay(run.eventLog);
  curves.push({
    name: network,
    optimizer: distro.kind,
    steps: monitor.steps.map(({ step, loss }) => ({ step, loss })),
    heldOut: [{ step: 0, loss: run.heldOutFirst }, { step: run.steps, loss: run.heldOutLast }],
    seconds: monitor.trainingSeconds,
    bytesPerStep: run.bytesPerResult,
  });
  return {
    clients,
    steps,
    sequencesPerStep,
    sequenceLength: model.maxSeqLen,
    parameters: run.bytesDense / 4,
    seed,
    rates: { adamw: options.adamwRate, distro: lrSchedule.baseLr },
    topk: distro.compressionTopk,
    chunk: distro.compressionChunk,
    bytesDense: run.bytesDense,
    weightsEqual: run.weightsEqual,
    weightsCompared: run.weightsCompared,
    curves,
  };
}

/** The steps of a recorded run, and the time from the first trained batch to the last. */
async function replay(eventLog: string) {
  const monitor = new RunMonitor();
  let first = Infinity, last = -Infinity;
  const file = await Deno.open(eventLog);
  for await (const event of readEventLines(file.readable)) {
    monitor.add(event);
    if (event.type !== "trained") continue;
    first = Math.min(first, event.time - event.milliseconds);
    last = Math.max(last, event.time);
  }
  return { steps: monitor.steps, trainingSeconds: (last - first) / 1000 };
}
