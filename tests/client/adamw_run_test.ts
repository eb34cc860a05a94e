/** A whole run with AdamW: localnet and clients are processes of their own. */
import { Keypair } from "@solana/web3.js";
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { commandLine } from "../../lib/cli/command_line.ts";
import { type ClientProcess, startClientProcess } from "../../lib/demo/client_process.ts";
import { demoConfig } from "../../lib/demo/demo_config.ts";
import type { TimedEvent } from "../../lib/events/event.ts";
import { loadRunConfig } from "../../lib/operator/load_run_config.ts";
import { prepareDemo } from "../../lib/operator/prepare_demo.ts";
import { setupLocalnet } from "../../lib/operator/setup_localnet.ts";
import { readModelDirectory } from "../../lib/trainer/model/model_directory.ts";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));
/** Far more than a run needs, on a busy machine too. */
const LIMIT = 180_000;
const STEPS = 16;

Deno.test({
  name: "one client of two ranks trains a run with AdamW, and a second one is turned away",
  // web3.js and child processes keep handles a little longer than the test.
  sanitizeResources: false,
  sanitizeOps: false,
  async fn() {
    const directory = await Deno.makeTempDir();
    const events: TimedEvent[] = [];
    const clients: ClientProcess[] = [];
    const { dataDirectory, modelDirectory } = await prepareDemo(`${ROOT}.psyche`);
    const run = demoConfig(await loadRunConfig(`${ROOT}config/solana-test/nano-config.toml`), {
      clients: 1,
      steps: STEPS,
      seed: 1,
      modelDirectory,
    });
    run.model.optimizer = {
      kind: "AdamW",
      betas: [0.9, 0.95],
      weightDecay: 0.1,
      eps: 1e-8,
      clipGradNorm: 1,
    };
    run.model.lrSchedule = { kind: "Constant", baseLr: 4e-3, warmupInitLr: 0, warmupSteps: 4 };
    const setup = await setupLocalnet({
      rpcPort: 0,
      wallet: Keypair.generate(),
      runId: "alone",
      config: run,
      clockRate: 20,
      dataDirectory,
      programsDirectory: `${ROOT}programs`,
      runsDirectory: `${directory}/runs`,
      keysDirectory: `${directory}/keys`,
    });
    const late = Promise.withResolvers<never>();
    late.promise.catch(() => {});
    const log = () => events.slice(-100).map((event) => JSON.stringify(event)).join("\n");
    const timer = setTimeout(() => late.reject(new Error(`unfinished:\n${log()}`)), LIMIT);
    const start = (flags: string[], onEvent: (event: TimedEvent) => void) => {
      const client = startClientProcess(
        commandLine("train", [
          ...["--run-id", "alone", "--rpc", setup.rpcUrl, "--ws-rpc", setup.wsUrl],
          ...["--device", "cpu", "--threads", "2", "--bind-p2p-host", "127.0.0.1"],
          ...["--address-book", `${directory}/peers`, "--key-directory", `${directory}/keys`],
          ...flags,
        ]),
        onEvent,
      );
      clients.push(client);
      return client;
    };
    try {
      const training = Promise.withResolvers<void>();
      const first = start(
        ["--data-parallelism", "2", "--checkpoint-dir", `${directory}/saved`],
        (event) => {
          events.push(event);
          if (event.type === "trained") training.resolve();
        },
      );
      const finished = first.ended.then(({ code, errors }) => {
        assert.equal(code, 0, errors.join("\n"));
      });
      await Promise.race([late.promise, finished, training.promise]);
      const second = await Promise.race([late.promise, start([], () => {}).ended]);
      assert.equal(second.code, 1);
      assert.match(second.errors.join("\n"), /CANNOT_TRAIN.*has to train alone, and client/s);
      await Promise.race([late.promise, finished]);
    } finally {
      clearTimeout(timer);
      await Promise.all(clients.map((client) => client.stop()));
      await setup.stop();
    }
    try {
      const [loaded] = events.filter((event) => event.type === "model_loaded");
      assert.equal(loaded.device, "cpu,cpu");
      const trained = events.filter((event) => event.type === "trained");
      assert.equal(trained.length, STEPS, log());
      assert.ok(events.some((event) => event.type === "stopped" && event.reason === "finished"));
      // Only the header of a result is sent.
      assert.ok(trained.every(({ bytes }) => bytes < 32), log());
      const [before, after] = [trained[0].loss, trained.at(-1)!.loss];
      assert.ok(after < 0.9 * before, `loss ${before} -> ${after}`);
      // Nothing is applied late: the witnesses accepted every batch all the same.
      assert.equal(events.filter((event) => event.type === "untrained_batch").length, 0, log());
      const applied = events.filter((event) => event.type === "applied");
      assert.ok(
        applied.length >= STEPS - 4 && applied.every(({ results }) => results === 1),
        log(),
      );
      const saved = events.findLast((event) => event.type === "checkpoint");
      assert.ok(saved, log());
      const { parameters } = await readModelDirectory(saved.path);
      assert.ok(parameters.every(({ data }) => data.every(Number.isFinite)));
    } finally {
      await Deno.remove(directory, { recursive: true });
    }
  },
});
