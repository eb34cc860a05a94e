import { Keypair } from "@solana/web3.js";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import { PsycheError } from "../error.ts";
import { openEventLog } from "../events/event_log.ts";
import { RunMonitor } from "../events/run_monitor.ts";
import { loadRunConfig } from "../operator/load_run_config.ts";
import { prepareDemo } from "../operator/prepare_demo.ts";
import type { RewardPlan } from "../operator/prepare_run.ts";
import { type LocalnetSetup, type SetupEvent, setupLocalnet } from "../operator/setup_localnet.ts";
import { type Claim, claimAll } from "./claim_all.ts";
import { clientFailure, type ClientProcess, startClientProcess } from "./client_process.ts";
import { demoConfig } from "./demo_config.ts";
import { judgeCheckpoint, type Judgement } from "./judge_checkpoint.ts";

export interface DemoOptions {
  clients: number;
  steps: number;
  /** Of the initial weights, the order of the data and the sampled text. */
  seed: number;
  /** Chain seconds per wall second. */
  clockRate: number;
  /** 0 = any free pair of ports. */
  rpcPort: number;
  /** Folder of made things, normally `.psyche`. */
  root: string;
  /** Run configuration that the demo varies. */
  configPath: string;
  /** The command line of `train` with these flags, for a process of the runtime. */
  trainCommand: (flags: string[]) => string[];
  signal: AbortSignal;
  onSetup: (event: SetupEvent | { type: "files" }) => void;
  /** Called after every event of a client. */
  onProgress: (monitor: RunMonitor) => void;
  /** Told once when events cannot be written to the log; throws where the run is worth nothing without. */
  onLogFailure: (error: PsycheError) => void;
}

export interface DemoResult {
  rpc: string;
  runId: string;
  clients: number;
  steps: number;
  epochs: number;
  /** Mean training loss of the first and the last step, nats per token. */
  lossFirst: number;
  lossLast: number;
  /** Loss on text that nobody trained on: initial weights and the checkpoint loaded from disk. */
  heldOutFirst: number;
  heldOutLast: number;
  weightsEqual: boolean;
  /** Rounds after which at least two clients reported their weights. */
  weightsCompared: number;
  weightsSha256: string;
  bytesPerResult: number;
  bytesDense: number;
  tokensPerSecond: number;
  checkpoint: string;
  sample: string;
  prompt: string;
  eventLog: string;
  setupMilliseconds: Record<string, number>;
  trainingSeconds: number;
  elapsedSeconds: number;
  /** Token of the rewards, base58, and what each client was paid. */
  mint: string;
  claims: Claim[];
}

const RUN_ID = "demo";
/** 100 tokens for each client that finishes an epoch. */
const REWARD_PER_CLIENT = 100_000_000n;
const REWARD_DECIMALS = 6;
const PROMPT = "Economy. The ";
const SAMPLE_TOKENS = 48;
export const HELD_OUT_SEQUENCES = 64;

/**
 * A whole run on this machine: localnet, deployment, clients as processes of their own, to Finished;
 * then the checkpoint is loaded from disk and measured. Nothing is left running, whatever happens.
 *
 * @throws PsycheError `CLIENT_FAILED`, `DEMO_INCOMPLETE`, and what the parts throw
 */
export async function runDemo(options: DemoOptions): Promise<DemoResult> {
  const start = performance.now();
  const directory = join(options.root, "demo", new Date().toISOString().replace(/[:.]/g, "-"));
  await Deno.mkdir(directory, { recursive: true });
  options.onSetup({ type: "files" });
  const files = await prepareDemo(options.root, {
    seed: options.seed,
    signal: options.signal,
  });
  const base = await loadRunConfig(options.configPath);
  const run = demoConfig(base, { ...options, modelDirectory: files.modelDirectory });

  const eventLog = join(directory, "events.jsonl");
  const monitor = new RunMonitor();
  let setup: LocalnetSetup | null = null;
  try {
    setup = await setupLocalnet({
      rpcPort: options.rpcPort,
      wallet: Keypair.generate(),
      runId: RUN_ID,
      config: run,
      clockRate: options.clockRate,
      dataDirectory: files.dataDirectory,
      treasurer: true,
      rewards: rewardPlan(options.clients),
      runsDirectory: join(directory, "runs"),
      keysDirectory: join(directory, "keys"),
      signal: options.signal,
      onEvent: options.onSetup,
    });
    const training = performance.now();
    await trainToTheEnd(options, setup, directory, eventLog, monitor);
    const trainingSeconds = (performance.now() - training) / 1000;
    return await summarise(options, {
      start,
      trainingSeconds,
      setup,
      monitor,
      eventLog,
      claims: await claimAll(setup.context, {
        runId: RUN_ID,
        keyDirectory: join(directory, "keys"),
      }),
      model: run.model,
      files,
    });
  } finally {
    await setup?.stop();
  }
}

async function trainToTheEnd(
  options: DemoOptions,
  setup: LocalnetSetup,
  directory: string,
  eventLog: string,
  monitor: RunMonitor,
): Promise<void> {
  const { signal } = options;
  using log = openEventLog(eventLog, options.onLogFailure);
  const threads = Math.max(1, Math.floor(availableParallelism() / options.clients));
  const clients: ClientProcess[] = [];
  try {
    for (let i = 0; i < options.clients; i++) {
      const args = [
        ...["--run-id", RUN_ID, "--rpc", setup.rpcUrl, "--ws-rpc", setup.wsUrl],
        ...["--threads", `${threads}`, "--bind-p2p-host", "127.0.0.1"],
        ...["--address-book", join(directory, "peers")],
        ...["--key-directory", join(directory, "keys")],
        ...(i === 0 ? ["--checkpoint-dir", join(directory, "checkpoints")] : []),
      ];
      clients.push(startClientProcess(options.trainCommand(args), (event) => {
        log.write(event);
        monitor.add(event);
        options.onProgress(monitor);
      }));
    }
    const interrupted = new Promise<never>((_, reject) => {
      const stop = () => reject(signal.reason);
      if (signal.aborted) stop();
      signal.addEventListener("abort", stop, { once: true });
    });
    const finished = Promise.all(clients.map(async (client) => {
      const { code, errors } = await client.ended;
      if (code !== 0) throw clientFailure(code, errors);
    }));
    await Promise.race([interrupted, finished]);
  } finally {
    // They write to the log until they have ended.
    await Promise.allSettled(clients.map((client) => client.stop()));
  }
}

async function summarise(
  options: DemoOptions,
  done: {
    start: number;
    trainingSeconds: number;
    setup: LocalnetSetup;
    monitor: RunMonitor;
    eventLog: string;
    claims: Claim[];
    model: Parameters<typeof demoConfig>[0]["model"];
    files: { dataDirectory: string; modelDirectory: string };
  },
): Promise<DemoResult> {
  const { monitor, setup, model, files } = done;
  const { checkpoint, steps, weights, bytes } = monitor;
  if (!checkpoint || steps.length === 0) {
    throw new PsycheError(
      "DEMO_INCOMPLETE",
      `The clients ended after ${steps.length} steps without a checkpoint; see ${done.eventLog}.`,
    );
  }
  const judge = {
    tokens: await heldOutTokens(join(files.dataDirectory, "heldout.bin"), model.maxSeqLen),
    sequenceLength: model.maxSeqLen,
    optimizer: model.optimizer,
    threads: availableParallelism(),
    prompt: PROMPT,
    seed: options.seed,
    signal: options.signal,
  };
  const before = await judgeCheckpoint({ ...judge, directory: files.modelDirectory, newTokens: 0 });
  const after: Judgement = await judgeCheckpoint({
    ...judge,
    directory: checkpoint.path,
    newTokens: SAMPLE_TOKENS,
  });
  if (after.weightsSha256 !== checkpoint.weightsSha256) {
    throw new PsycheError(
      "CHECKPOINT_DIFFERS",
      `The checkpoint ${checkpoint.path} holds other weights than the client had when it saved it.`,
    );
  }
  return {
    rpc: setup.rpcUrl,
    runId: RUN_ID,
    clients: options.clients,
    steps: steps.length,
    epochs: monitor.epoch,
    lossFirst: steps[0].loss,
    lossLast: steps.at(-1)!.loss,
    heldOutFirst: before.loss,
    heldOutLast: after.loss,
    weightsEqual: weights.equal && monitor.finalFingerprint === after.weightsFingerprint,
    weightsCompared: weights.compared,
    weightsSha256: checkpoint.weightsSha256,
    bytesPerResult: bytes.perResult,
    bytesDense: bytes.dense,
    tokensPerSecond: monitor.tokensPerSecond,
    checkpoint: checkpoint.path,
    sample: after.sample,
    prompt: PROMPT,
    eventLog: done.eventLog,
    setupMilliseconds: setup.timings,
    trainingSeconds: done.trainingSeconds,
    elapsedSeconds: (performance.now() - done.start) / 1000,
    mint: setup.collateralMint ?? "",
    claims: done.claims,
  };
}

/** A treasury that pays every client for one epoch. */
function rewardPlan(clients: number): RewardPlan {
  const earningRate = REWARD_PER_CLIENT * BigInt(clients);
  return {
    decimals: REWARD_DECIMALS,
    supply: earningRate * 10n,
    topUp: earningRate,
    earningRate,
    slashingRate: 0n,
  };
}

/** The first sequences of a file of two-byte little-endian tokens. */
export async function heldOutTokens(path: string, sequenceLength: number): Promise<Int32Array> {
  const bytes = await Deno.readFile(path);
  const sequences = Math.min(HELD_OUT_SEQUENCES, Math.floor(bytes.length / 2 / sequenceLength));
  const view = new DataView(bytes.buffer);
  return Int32Array.from(
    { length: sequences * sequenceLength },
    (_, i) => view.getUint16(i * 2, true),
  );
}
