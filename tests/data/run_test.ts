/** Whole runs on data from a data server and from a data set of a Hub; everything is a process. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { commandLine } from "../../lib/cli/command_line.ts";
import { FakeHub } from "../../lib/trainer/hub/fake_hub.ts";
import { readText } from "../operator/script.ts";
import { assertTrained, type TrainingRun, withTrainingRun } from "./training_run.ts";

const INSTRUCTIONS = fileURLToPath(
  new URL("../trainer/fixtures/parquet/instructions/", import.meta.url),
);
// web3.js and child processes keep handles a little longer than the test.
const lingering = { sanitizeResources: false, sanitizeOps: false };

/** A port that is free now: the run names the server's port before the server is there. */
function freePort(): number {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  return listener.addr.port;
}

function startDataServer(
  { flags }: TrainingRun,
  port: number,
  dataConfig: string,
  ...more: string[]
) {
  const child = new Deno.Command(Deno.execPath(), {
    args: commandLine("data-server", [
      ...flags,
      ...["--bind", "127.0.0.1", "--port", String(port), "--data-config", dataConfig],
      ...more,
    ]),
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  return { child, stdout: readText(child.stdout), stderr: readText(child.stderr) };
}

Deno.test({
  name: "two clients train from a data server that is killed and started again on the way",
  ...lingering,
  async fn() {
    const port = freePort();
    const steps = 8;
    const dataLocation = { kind: "Server", address: `127.0.0.1:${port}` } as const;
    await withTrainingRun({ clients: 2, steps, model: () => ({ dataLocation }) }, async (run) => {
      const dataConfig = join(run.directory, "data.toml");
      await Deno.mkdir(join(run.directory, "tokens"));
      await Deno.copyFile(
        join(run.dataDirectory, "factbook.bin"),
        join(run.directory, "tokens", "factbook.bin"),
      );
      await Deno.writeTextFile(
        dataConfig,
        `dir = "tokens"\ntoken_size = 2\nseq_len = 128\nshuffle_seed = [${
          new Array(32).fill(7).join(", ")
        }]\n`,
      );
      let server = startDataServer(run, port, dataConfig);
      try {
        await run.within(server.stdout.until(`of ${steps} steps`));
        const trained = run.train();
        trained.catch(() => {}); // `within` tells
        await run.within(run.until((event) => event.type === "applied"));
        server.child.kill("SIGKILL");
        await server.child.status;
        // What is asked for now cannot be had, and is asked for again.
        await run.within(
          run.until((event) => event.type === "warning" && event.code === "DATA_RETRY"),
        );
        server = startDataServer(run, port, dataConfig);
        await run.within(trained);
        // The server ends with the run.
        assert.equal((await server.child.status).code, 0);
        const served = await server.stdout.until("sent,");
        assert.match(served, /B\[\d+, \d+\] for [0-9a-f]{8}: sent, \d+ bytes/);
      } finally {
        await stop(server.child);
      }
      assertTrained(run, steps);
      const sent = run.events.filter((event) => event.type === "trained").length;
      assert.ok(sent >= 2 * steps - 2, run.log());
    });
  },
});

Deno.test({
  name: "a run moves from the web to a data server in a pause, and its client with it",
  ...lingering,
  fn: () =>
    withTrainingRun({ clients: 1, steps: 20, model: () => ({}) }, async (run) => {
      const dataConfig = join(run.directory, "data.toml");
      const tokens = join(run.dataDirectory, "factbook.bin");
      await Deno.writeTextFile(
        dataConfig,
        `dir = ${JSON.stringify(tokens)}\ntoken_size = 2\nseq_len = 128`,
      );
      const port = freePort();
      const trained = run.train();
      trained.catch(() => {}); // `within` tells
      await run.within(run.until((event) => event.type === "applied"));
      const server = startDataServer(run, port, dataConfig);
      try {
        const dataLocation = { kind: "Server", address: `127.0.0.1:${port}` } as const;
        await run.within(run.reconfigure({ dataLocation }));
        await run.within(trained);
        await server.stdout.until("sent,");
      } finally {
        await stop(server.child);
      }
      const order = run.events.flatMap((event) =>
        event.type === "data_ready" || event.type === "trained" ? [event.type] : []
      );
      const moved = order.lastIndexOf("data_ready");
      assert.ok(moved > 2 && order.length - moved > 2, order.join());
      assert.equal(order.filter((type) => type === "data_ready").length, 2);
    }),
});

Deno.test({
  name: "the data server says what is wrong, what it serves and for how long, and ends by Ctrl+C",
  ...lingering,
  fn: () =>
    withTrainingRun({ clients: 1, steps: 5, model: () => ({}) }, async (run) => {
      const dataConfig = join(run.directory, "data.toml");
      const tokens = join(run.directory, "tokens.bin");
      // 38 sequences, the last one of which does not count.
      await Deno.writeFile(tokens, new Uint8Array(38 * 128 * 2));
      const serve = async (text: string, ...more: string[]) => {
        await Deno.writeTextFile(dataConfig, text);
        return startDataServer(run, 0, dataConfig, ...more);
      };
      const refused = await serve(`dir = "tokens.bin"\ntoken_size = 2\nseq_len = 64`);
      assert.equal((await refused.child.status).code, 1);
      await refused.stderr.until("error[DATA_CONFIG_INVALID]: seq_len of the data configuration");
      const { child, stdout, stderr } = await serve(
        `dir = "tokens.bin"\ntoken_size = 2\nseq_len = 128`,
        "--json",
      );
      try {
        const ready = JSON.parse(await run.within(stdout.until("\n}\n")));
        assert.ok(ready.port > 0);
        assert.deepEqual(
          [ready.run_id, ready.address_on_chain, ready.sequences, ready.steps, ready.steps_left],
          ["data", null, 37, 4, 5],
        );
        await stderr.until(`set data_location = { Server = "<host>:${ready.port}" }`);
        await stderr.until("37 sequences, which last for 4 of the 5 steps");
        child.kill("SIGINT");
        assert.equal((await child.status).code, 0);
        await stderr.until("Stopped.");
      } finally {
        await stop(child);
      }
    }),
});

Deno.test({
  name: "clients train on a data set of a Hub, with labels and packed texts",
  ...lingering,
  async fn() {
    const steps = 6;
    const name = "owner/instructions";
    const file = "train-00000-of-00001.parquet";
    const hub = new FakeHub(
      name,
      new Map([[`data/${file}`, await Deno.readFile(join(INSTRUCTIONS, file))]]),
    );
    const web = Deno.serve(
      { hostname: "127.0.0.1", port: 0, onListen() {} },
      (request) => hub.fetch(request),
    );
    const cache = await Deno.makeTempDir();
    const variables = {
      HF_ENDPOINT: `http://127.0.0.1:${web.addr.port}`,
      HF_HUB_CACHE: cache,
    };
    const before = Object.keys(variables).map((key) => [key, Deno.env.get(key)] as const);
    // The client's process gets it from here.
    for (const [key, value] of Object.entries(variables)) Deno.env.set(key, value);
    try {
      const dataLocation = { kind: "Preprocessed", path: name } as const;
      const model = () => ({ dataLocation, maxSeqLen: 32, dataType: "Finetuning" as const });
      await withTrainingRun({ clients: 2, steps, model }, async (run) => {
        await run.within(run.train());
        assertTrained(run, steps);
        assert.equal(run.events.find((event) => event.type === "data_ready")!.sequences, null);
        assert.ok(hub.requests.some((request) => request.includes(`/resolve/`)));
      });
    } finally {
      for (const [key, value] of before) {
        if (value === undefined) Deno.env.delete(key);
        else Deno.env.set(key, value);
      }
      await web.shutdown();
      await Deno.remove(cache, { recursive: true });
    }
  },
});

async function stop(child: Deno.ChildProcess): Promise<void> {
  try {
    child.kill("SIGKILL");
  } catch {
    // It has ended.
  }
  await child.status;
}
