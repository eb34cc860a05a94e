/**
 * What a run has learned survives a pause in which every client leaves: real localnet, real programs,
 * clients as processes, the Hub and the bucket as servers.
 */
import { Keypair } from "@solana/web3.js";
import assert from "node:assert/strict";
import { join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { commandLine } from "../../lib/cli/command_line.ts";
import { type ClientProcess, startClientProcess } from "../../lib/demo/client_process.ts";
import { demoConfig } from "../../lib/demo/demo_config.ts";
import type { ClientEvent, TimedEvent } from "../../lib/events/event.ts";
import { loadRunConfig } from "../../lib/operator/load_run_config.ts";
import { prepareDemo } from "../../lib/operator/prepare_demo.ts";
import { readRun } from "../../lib/operator/read_run.ts";
import { setPaused } from "../../lib/operator/set_paused.ts";
import { setupLocalnet } from "../../lib/operator/setup_localnet.ts";
import { type Checkpoint, RunState } from "../../lib/protocol/coordinator_state.ts";
import { FAKE_GCS_TOKEN, FakeGcs } from "../../lib/trainer/gcs/fake_gcs.ts";
import { FAKE_TOKEN, FakeHub } from "../../lib/trainer/hub/fake_hub.ts";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));
const RUN_ID = "resumed";
/** Far more than a run needs, on a busy machine too. */
const LIMIT = 180_000;
/** Steps before the pause, and in the whole run. */
const STEPS = 16;
const ALL_STEPS = 24;

/** Where the checkpoints of a run are. */
interface Place {
  /** What the run begins from; `model` is the directory of the first weights. */
  first(model: string): Checkpoint;
  /** Flags and environment of the clients. */
  flags: string[];
  env: Record<string, string>;
  /** What the chain has to say in the end. */
  recorded: (path: string) => Checkpoint;
  close(): Promise<void>;
}

const serve = (answer: (request: Request) => Promise<Response>) =>
  Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, answer);

async function modelFiles(model: string): Promise<[string, Uint8Array<ArrayBuffer>][]> {
  const files: [string, Uint8Array<ArrayBuffer>][] = [];
  for await (const { name, isFile } of Deno.readDir(model)) {
    if (isFile) files.push([name, await Deno.readFile(join(model, name))]);
  }
  return files;
}

async function onHub(model: string, cache: string): Promise<Place> {
  const hub = new FakeHub("owner/tiny", new Map(await modelFiles(model)));
  hub.needsToken = true;
  const server = serve((request) => hub.fetch(request));
  const repoId = "owner/tiny";
  return {
    first: () => ({ kind: "Hub", repo: { repoId, revision: hub.commit } }),
    flags: ["--hub-repo", repoId],
    env: {
      HF_ENDPOINT: `http://127.0.0.1:${server.addr.port}`,
      HF_TOKEN: FAKE_TOKEN,
      HF_HOME: cache,
    },
    recorded: () => {
      assert.match(hub.commits.messages.at(-1)!, /^step \d+$/);
      return { kind: "P2P", repo: { repoId, revision: hub.commit } };
    },
    close: () => server.shutdown(),
  };
}

async function inBucket(model: string, cache: string): Promise<Place> {
  const gcs = new FakeGcs("runs");
  for (const [name, content] of await modelFiles(model)) gcs.put(`tiny/${name}`, content);
  const server = serve((request) => gcs.fetch(request));
  const repo = { bucket: "runs", prefix: "tiny" };
  return {
    first: () => ({ kind: "Gcs", repo }),
    flags: ["--gcs-bucket", "runs", "--gcs-prefix", "tiny", "--checkpoint-dtype", "fp32"],
    env: {
      STORAGE_EMULATOR_HOST: `127.0.0.1:${server.addr.port}`,
      GOOGLE_OAUTH_ACCESS_TOKEN: FAKE_GCS_TOKEN,
      HF_HOME: cache,
    },
    recorded: () => ({ kind: "P2PGcs", repo }),
    close: () => server.shutdown(),
  };
}

function inDirectory(): Promise<Place> {
  return Promise.resolve({
    first: (model) => ({ kind: "Hub", repo: { repoId: model, revision: null } }),
    flags: ["--record-checkpoint"],
    env: {},
    recorded: (path) => ({ kind: "P2P", repo: { repoId: path, revision: null } }),
    close: () => Promise.resolve(),
  });
}

/** Clients of one run and what they say. */
class Group {
  readonly events: TimedEvent[] = [];
  readonly clients: ClientProcess[] = [];
  #waiting: { test: () => boolean; resolve: () => void }[] = [];
  readonly #trouble = Promise.withResolvers<never>();

  constructor() {
    this.#trouble.promise.catch(() => {});
  }

  start(flags: string[], env: Record<string, string>): ClientProcess {
    const client = startClientProcess(commandLine("train", flags), (event) => {
      this.events.push(event);
      this.#waiting = this.#waiting.filter(({ test, resolve }) => !test() || resolve());
    }, env);
    this.clients.push(client);
    client.ended.then(({ code, errors }) => {
      if (code !== 0) this.#trouble.reject(new Error(errors.join("\n")));
    });
    return client;
  }

  of<Type extends ClientEvent["type"]>(type: Type) {
    return this.events.filter((event): event is Extract<TimedEvent, { type: Type }> =>
      event.type === type
    );
  }

  /** Resolves when what the clients said fulfils the condition. */
  until(test: () => boolean): Promise<void> {
    if (test()) return Promise.resolve();
    const timer = Promise.withResolvers<never>();
    const log = () => this.events.slice(-60).map((event) => JSON.stringify(event)).join("\n");
    const id = setTimeout(() => timer.reject(new Error(`unfinished:\n${log()}`)), LIMIT);
    const met = new Promise<void>((resolve) => this.#waiting.push({ test, resolve }));
    return Promise.race([met, timer.promise, this.#trouble.promise])
      .finally(() => clearTimeout(id));
  }
}

async function survivesPause(open: (model: string, cache: string) => Promise<Place>) {
  const { dataDirectory, modelDirectory } = await prepareDemo(`${ROOT}.psyche`);
  // Below the checkout: the chain has 64 bytes for a path.
  const directory = await Deno.makeTempDir({ dir: `${ROOT}.psyche`, prefix: "resume-" });
  const place = await open(modelDirectory, join(directory, "hf"));
  const cleanUp = async () => {
    await place.close();
    await Deno.remove(directory, { recursive: true });
  };
  const run = demoConfig(await loadRunConfig(`${ROOT}config/solana-test/nano-config.toml`), {
    clients: 1,
    steps: ALL_STEPS,
    seed: 1,
    modelDirectory,
  });
  run.model.checkpoint = place.first(relative(ROOT, modelDirectory));
  const setup = await setupLocalnet({
    rpcPort: 0,
    wallet: Keypair.generate(),
    runId: RUN_ID,
    config: run,
    clockRate: 20,
    dataDirectory,
    programsDirectory: `${ROOT}programs`,
    runsDirectory: join(directory, "runs"),
    keysDirectory: join(directory, "keys"),
  }).catch(async (error) => {
    await cleanUp();
    throw error;
  });
  const group = new Group();
  const flags = [
    ...["--run-id", RUN_ID, "--rpc", setup.rpcUrl, "--ws-rpc", setup.wsUrl, "--threads", "1"],
    ...["--bind-p2p-host", "127.0.0.1", "--address-book", join(directory, "peers")],
    ...["--key-directory", join(directory, "keys")],
    ...["--checkpoint-dir", join(relative(ROOT, directory), "c"), ...place.flags],
  ];
  try {
    const first = group.start(flags, place.env);
    await group.until(() => group.of("trained").length >= STEPS);
    await setPaused(setup.context, { runId: RUN_ID, paused: true });
    await group.until(() => group.of("checkpoint_recorded").length === 1);
    await group.until(() => group.of("state").at(-1)?.run_state === "Paused");
    await first.stop();
    const [saved] = group.of("checkpoint");
    const { state } = await readRun(setup.context, RUN_ID);
    assert.equal(state.runState, RunState.Paused);
    assert.deepEqual(state.model.checkpoint, place.recorded(saved.path));
    const before = group.of("trained").map(({ loss }) => loss);

    group.events.length = 0;
    await setPaused(setup.context, { runId: RUN_ID, paused: false });
    const second = group.start(flags, place.env);
    const { code, errors } = await second.ended;
    assert.equal(code, 0, errors.join("\n"));
    const [loaded] = group.of("model_loaded");
    assert.equal(loaded.weights_sha256, saved.weights_sha256);
    const after = group.of("trained").map(({ loss }) => loss);
    const half = (before[0] + before.at(-1)!) / 2;
    assert.ok(before.at(-1)! < 0.9 * before[0], `${before}`);
    // Not from the beginning: clearly nearer to the end of the first group.
    assert.ok(Math.max(...after) < half, `${before} then ${after}`);
    // The last state of the run is there too.
    assert.equal(group.of("checkpoint_recorded").length + group.of("checkpoint_failed").length, 1);
  } finally {
    await Promise.all(group.clients.map((client) => client.stop()));
    await setup.stop();
    await cleanUp();
  }
}

for (
  const [where, open] of [
    ["a repository of the Hub", onHub],
    ["a bucket", inBucket],
    ["a directory", inDirectory],
  ] as const
) {
  Deno.test({
    name: `all clients leave in a pause, and others go on from the checkpoint in ${where}`,
    // web3.js and child processes keep handles a little longer than the test.
    sanitizeResources: false,
    sanitizeOps: false,
    fn: () => survivesPause(open),
  });
}
