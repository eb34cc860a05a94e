import { Keypair } from "@solana/web3.js";
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { commandLine } from "../../lib/cli/command_line.ts";
import { type ClientProcess, startClientProcess } from "../../lib/demo/client_process.ts";
import { demoConfig } from "../../lib/demo/demo_config.ts";
import type { TimedEvent } from "../../lib/events/event.ts";
import { RunMonitor } from "../../lib/events/run_monitor.ts";
import { applyConfig } from "../../lib/operator/apply_config.ts";
import { loadRunConfig } from "../../lib/operator/load_run_config.ts";
import { prepareDemo } from "../../lib/operator/prepare_demo.ts";
import { setupLocalnet } from "../../lib/operator/setup_localnet.ts";
import type { Model } from "../../lib/protocol/coordinator_state.ts";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));
/** Far more than a run needs, on a busy machine too; milliseconds. */
const LIMIT = 180_000;

/** A run on a localnet of its own, trained by clients that are processes. */
export interface TrainingRun {
  /** For files of the test; removed at the end. */
  readonly directory: string;
  /** Token files of the demonstration. */
  readonly dataDirectory: string;
  /** Flags that tell a command which run of which cluster. */
  readonly flags: string[];
  /** Pauses the run, changes its model and resumes it. */
  reconfigure(change: Partial<Model>): Promise<void>;
  readonly events: TimedEvent[];
  readonly monitor: RunMonitor;
  /** Starts all clients and resolves when they have ended well. */
  train(): Promise<void>;
  /** `work`, unless it takes too long or a client fails. */
  within<T>(work: Promise<T>): Promise<T>;
  /** Resolves at the first event that fits. */
  until(test: (event: TimedEvent) => boolean): Promise<void>;
  /** The last events, for messages. */
  log(): string;
}

/** Sets the run up, lets `use` train it and cleans up. */
export async function withTrainingRun(
  options: {
    clients: number;
    steps: number;
    model: (base: Model) => Partial<Model>;
  },
  use: (run: TrainingRun) => Promise<void>,
): Promise<void> {
  const { clients: count, steps } = options;
  const directory = await Deno.makeTempDir();
  const clients: ClientProcess[] = [];
  const events: TimedEvent[] = [];
  const monitor = new RunMonitor();
  const waiting: { test: (event: TimedEvent) => boolean; resolve: () => void }[] = [];
  const log = () => events.slice(-100).map((event) => JSON.stringify(event)).join("\n");
  const trouble = Promise.withResolvers<never>();
  trouble.promise.catch(() => {});
  const timer = setTimeout(() => trouble.reject(new Error(`unfinished:\n${log()}`)), LIMIT);
  const { dataDirectory, modelDirectory } = await prepareDemo(`${ROOT}.psyche`);
  const base = await loadRunConfig(`${ROOT}config/solana-test/nano-config.toml`);
  const { config, model } = demoConfig(base, { clients: count, steps, seed: 1, modelDirectory });
  const setup = await setupLocalnet({
    rpcPort: 0,
    wallet: Keypair.generate(),
    runId: "data",
    config: { ...base, config, model: { ...model, ...options.model(model) } },
    clockRate: 20,
    dataDirectory,
    programsDirectory: `${ROOT}programs`,
    runsDirectory: `${directory}/runs`,
    keysDirectory: `${directory}/keys`,
  });
  const flags = ["--run-id", "data", "--rpc", setup.rpcUrl, "--ws-rpc", setup.wsUrl];
  const train = commandLine("train", [
    ...flags,
    ...["--threads", "1", "--bind-p2p-host", "127.0.0.1"],
    ...["--address-book", `${directory}/peers`, "--key-directory", `${directory}/keys`],
  ]);
  const onEvent = (event: TimedEvent) => {
    events.push(event);
    monitor.add(event);
    for (const { test, resolve } of waiting) if (test(event)) resolve();
  };
  try {
    await use({
      directory,
      dataDirectory,
      flags,
      events,
      monitor,
      log,
      within: (work) => Promise.race([work, trouble.promise]),
      reconfigure: async (change) => {
        const current = { ...model, ...options.model(model), ...change };
        await applyConfig(setup.context, "data", { file: { config, model: current } });
      },
      until: (test) => new Promise((resolve) => waiting.push({ test, resolve })),
      train: async () => {
        for (let i = 0; i < count; i++) clients.push(startClientProcess(train, onEvent));
        const ends = await Promise.all(clients.map(async ({ ended }) => {
          const { code, errors } = await ended;
          if (code !== 0) trouble.reject(new Error(errors.join("\n")));
          assert.ok(!errors.includes("Run data is finished."), "a line that is no JSON");
          return code;
        }));
        assert.ok(ends.every((code) => code === 0));
      },
    });
  } finally {
    clearTimeout(timer);
    await Promise.all(clients.map((client) => client.stop()));
    await setup.stop();
    await Deno.remove(directory, { recursive: true });
  }
}

/** The checks that every run must pass, whatever its data. */
export function assertTrained({ monitor, events, log }: TrainingRun, steps: number): void {
  assert.deepEqual(monitor.weights.differing, [], log());
  assert.ok(monitor.weights.equal && monitor.weights.compared >= steps - 2, log());
  const [start, end] = [monitor.steps[0].loss, monitor.steps.at(-1)!.loss];
  assert.ok(end < start, `loss ${start} -> ${end}`);
  const ready = events.filter((event) => event.type === "data_ready");
  assert.ok(ready.length > 0);
  for (const { steps: lasting, steps_left } of ready) {
    assert.deepEqual([lasting, steps_left], [steps, steps], log());
  }
}
