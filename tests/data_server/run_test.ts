/** Whole runs whose data comes from the data server: localnet, server and clients are processes. */
import { Keypair } from "@solana/web3.js";
import assert from "node:assert/strict";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { commandLine } from "../../lib/cli/command_line.ts";
import { type ClientProcess, startClientProcess } from "../../lib/demo/client_process.ts";
import { demoConfig } from "../../lib/demo/demo_config.ts";
import type { TimedEvent } from "../../lib/events/event.ts";
import { RunMonitor } from "../../lib/events/run_monitor.ts";
import { loadRunConfig } from "../../lib/operator/load_run_config.ts";
import { prepareDemo } from "../../lib/operator/prepare_demo.ts";
import { setupLocalnet } from "../../lib/operator/setup_localnet.ts";
import { readText } from "../operator/script.ts";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));
/** Far more than a run needs, on a busy machine too. */
const LIMIT = 180_000;
const STEPS = 8;

/** A port that is free now; the server is told it because the run names it before the server starts. */
function freePort(): number {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  return listener.addr.port;
}

Deno.test({
  name: "two clients train from a data server that is killed and started again on the way",
  // web3.js and child processes keep handles a little longer than the test.
  sanitizeResources: false,
  sanitizeOps: false,
  async fn() {
    const directory = await Deno.makeTempDir();
    const events: TimedEvent[] = [];
    const monitor = new RunMonitor();
    const clients: ClientProcess[] = [];
    const servers: Deno.ChildProcess[] = [];
    const port = freePort();
    const { dataDirectory, modelDirectory } = await prepareDemo(`${ROOT}.psyche`);
    await Deno.mkdir(join(directory, "data"));
    await Deno.copyFile(
      join(dataDirectory, "factbook.bin"),
      join(directory, "data", "factbook.bin"),
    );
    const run = demoConfig(await loadRunConfig(`${ROOT}config/solana-test/nano-config.toml`), {
      clients: 2,
      steps: STEPS,
      seed: 1,
      modelDirectory,
    });
    run.model.dataLocation = { kind: "Server", address: `127.0.0.1:${port}` };
    await Deno.writeTextFile(
      join(directory, "data.toml"),
      `dir = "data"\ntoken_size = 2\nseq_len = ${run.model.maxSeqLen}\n` +
        `shuffle_seed = [${new Array(32).fill(7).join(", ")}]\n`,
    );
    const setup = await setupLocalnet({
      rpcPort: 0,
      wallet: Keypair.generate(),
      runId: "served",
      config: run,
      clockRate: 20,
      programsDirectory: `${ROOT}programs`,
      runsDirectory: `${directory}/runs`,
      keysDirectory: `${directory}/keys`,
    });
    const cluster = ["--run-id", "served", "--rpc", setup.rpcUrl, "--ws-rpc", setup.wsUrl];
    const startServer = () => {
      const child = new Deno.Command(Deno.execPath(), {
        args: commandLine("data-server", [
          ...cluster,
          ...["--bind", "127.0.0.1", "--port", String(port)],
          ...["--data-config", join(directory, "data.toml")],
        ]),
        stdin: "null",
        stdout: "piped",
        stderr: "piped",
      }).spawn();
      servers.push(child);
      return { child, stdout: readText(child.stdout), stderr: readText(child.stderr) };
    };
    const late = Promise.withResolvers<never>();
    late.promise.catch(() => {});
    const timer = setTimeout(() => late.reject(new Error(`unfinished:\n${log()}`)), LIMIT);
    const log = () => events.slice(-100).map((event) => JSON.stringify(event)).join("\n");
    try {
      const first = startServer();
      await Promise.race([late.promise, first.stdout.until("of 8 steps")]);
      const stepTwo = Promise.withResolvers<void>();
      for (let i = 0; i < 2; i++) {
        clients.push(startClientProcess(
          commandLine("train", [
            ...cluster,
            ...["--threads", "1", "--bind-p2p-host", "127.0.0.1"],
            ...["--address-book", `${directory}/peers`, "--key-directory", `${directory}/keys`],
          ]),
          (event) => {
            events.push(event);
            monitor.add(event);
            if (monitor.steps.length >= 2) stepTwo.resolve();
          },
        ));
      }
      const ended = Promise.all(clients.map(async (client) => {
        const { code, errors } = await client.ended;
        assert.equal(code, 0, errors.join("\n"));
      }));
      await Promise.race([late.promise, ended, stepTwo.promise]);
      first.child.kill("SIGKILL");
      await first.child.status;
      const second = startServer();
      await Promise.race([late.promise, ended]);
      // The server ends with the run.
      assert.equal((await second.child.status).code, 0);
      const served = await second.stdout.until("sent,");
      assert.match(served, /B\[\d+, \d+\] for [0-9a-f]{8}: sent, \d+ bytes/);
    } finally {
      clearTimeout(timer);
      await Promise.all(clients.map((client) => client.stop()));
      for (const child of servers) {
        try {
          child.kill("SIGKILL");
        } catch {
          // It has ended.
        }
        await child.status;
      }
      await setup.stop();
      await Deno.remove(directory, { recursive: true });
    }
    assert.ok(monitor.weights.equal && monitor.weights.compared >= STEPS - 2, log());
    const ready = events.filter((event) => event.type === "data_ready");
    assert.deepEqual(
      ready.map(({ steps, steps_left }) => [steps, steps_left]),
      [[STEPS, STEPS], [STEPS, STEPS]],
      log(),
    );
    assert.ok(events.filter((event) => event.type === "trained").length >= 2 * STEPS - 2, log());
    const [start, end] = [monitor.steps[0].loss, monitor.steps.at(-1)!.loss];
    assert.ok(end < start, `loss ${start} -> ${end}`);
  },
});
