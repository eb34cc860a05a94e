/** Whole runs: a real localnet, real programs, clients as processes of their own. */
import { Keypair } from "@solana/web3.js";
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { commandLine } from "../../lib/cli/command_line.ts";
import { type ClientProcess, startClientProcess } from "../../lib/demo/client_process.ts";
import { demoConfig } from "../../lib/demo/demo_config.ts";
import type { TimedEvent } from "../../lib/events/event.ts";
import { RunMonitor } from "../../lib/events/run_monitor.ts";
import { loadRunConfig } from "../../lib/operator/load_run_config.ts";
import { prepareDemo } from "../../lib/operator/prepare_demo.ts";
import { setupLocalnet } from "../../lib/operator/setup_localnet.ts";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));
const CONFIG = `${ROOT}config/solana-test/nano-config.toml`;
/** Far more than a run needs, on a busy machine too. */
const LIMIT = 180_000;
const KEYS = [
  ...["rpc", "run_id", "clients", "steps", "epochs", "loss_first", "loss_last", "weights_equal"],
  ...["weights_sha256", "bytes_per_result", "bytes_dense", "checkpoint", "elapsed_seconds"],
];

Deno.test("demo --json prints one object, and what it says is so", async () => {
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["task", "demo", "--json", "--clients", "2", "--steps", "16", "--seed", "1"],
    cwd: ROOT,
    env: { NO_COLOR: "1" },
    stdout: "piped",
    stderr: "piped",
  }).output();
  const talk = new TextDecoder().decode(stderr);
  assert.equal(code, 0, talk);
  const result = JSON.parse(new TextDecoder().decode(stdout));
  for (const key of KEYS) assert.ok(key in result, `${key} is missing`);
  assert.equal(result.clients, 2);
  assert.equal(result.steps, 16);
  assert.equal(result.weights_equal, true);
  assert.equal(result.weights_compared_rounds, 14);
  assert.ok(
    result.loss_last < 0.95 * result.loss_first,
    `${result.loss_first} -> ${result.loss_last}`,
  );
  assert.ok(result.held_out_loss_last < 0.95 * result.held_out_loss_first);
  assert.deepEqual(result.claims.map(({ tokens }: { tokens: string }) => tokens), ["100", "100"]);
  assert.ok(result.bytes_per_result * 100 < result.bytes_dense);
  for (const file of ["config.json", "model.safetensors", "tokenizer.json"]) {
    assert.ok((await Deno.stat(`${ROOT}${result.checkpoint}/${file}`)).isFile);
  }
  await Deno.remove(`${ROOT}${result.event_log.replace(/\/[^/]*$/, "")}`, { recursive: true });
});

Deno.test({
  name: "a client is killed, another one comes late: the run goes on and finishes",
  // web3.js and child processes keep handles a little longer than the test.
  sanitizeResources: false,
  sanitizeOps: false,
  async fn() {
    const directory = await Deno.makeTempDir();
    const monitor = new RunMonitor();
    const events: TimedEvent[] = [];
    const clients: ClientProcess[] = [];
    const waiting: { test: () => boolean; resolve: () => void }[] = [];
    // Nothing is waited for longer than the limit, or after a client has failed.
    const trouble = Promise.withResolvers<never>();
    trouble.promise.catch(() => {});
    const log = () => events.slice(-200).map((event) => JSON.stringify(event)).join("\n");
    const timer = setTimeout(() => trouble.reject(new Error(`unfinished:\n${log()}`)), LIMIT);
    const until = (test: () => boolean) =>
      Promise.race([
        trouble.promise,
        new Promise<void>((resolve) => waiting.push({ test, resolve })),
      ]);
    const { dataDirectory, modelDirectory } = await prepareDemo(`${ROOT}.psyche`);
    const run = demoConfig(await loadRunConfig(CONFIG), {
      clients: 3,
      steps: 40,
      seed: 1,
      modelDirectory: modelDirectory.slice(ROOT.length),
    });
    Object.assign(run.config, {
      minClients: 2,
      globalBatchSizeStart: 12,
      globalBatchSizeEnd: 12,
      maxRoundTrainTime: 80n,
      epochTime: 300n,
      warmupTime: 290n,
    });
    const setup = await setupLocalnet({
      rpcPort: 0,
      wallet: Keypair.generate(),
      runId: "killed",
      config: run,
      clockRate: 20,
      dataDirectory,
      programsDirectory: `${ROOT}programs`,
      runsDirectory: `${directory}/runs`,
      keysDirectory: `${directory}/keys`,
    });
    const start = () => {
      const client = startClientProcess(
        commandLine("train", [
          ...["--run-id", "killed", "--rpc", setup.rpcUrl, "--ws-rpc", setup.wsUrl],
          ...[
            "--threads",
            "1",
            "--bind-p2p-host",
            "127.0.0.1",
            "--address-book",
            `${directory}/peers`,
          ],
          ...["--key-directory", `${directory}/keys`],
        ]),
        (event) => {
          events.push(event);
          monitor.add(event);
          for (const wait of waiting) if (wait.test()) wait.resolve();
        },
      );
      clients.push(client);
      client.ended.then(({ code, errors }) => {
        if (code !== 0 && client !== killed) trouble.reject(new Error(errors.join("\n")));
      });
      return client;
    };
    let killed: ClientProcess | null = null;
    try {
      start();
      start();
      start();
      await until(() => monitor.steps.length >= 4);
      killed = clients[0];
      killed.kill();
      // From here on two members are left; the late one has to get their weights.
      start();
      const survivors = clients.slice(1).map((client) => client.ended);
      await Promise.race([trouble.promise, Promise.all(survivors)]);
      assert.notEqual((await killed.ended).code, 0);
    } finally {
      clearTimeout(timer);
      await Promise.all(clients.map((client) => client.stop()));
      await setup.stop();
      await Deno.remove(directory, { recursive: true });
    }
    assert.deepEqual(monitor.weights.differing, [], log());
    assert.ok(monitor.weights.equal && monitor.weights.compared >= 20, log());
    assert.ok(monitor.epoch >= 2, log());
    assert.ok(events.some((event) => event.type === "unhealthy"), log());
    assert.ok(
      events.some((event) => event.type === "model_loaded" && event.source === "peers"),
      log(),
    );
  },
});
