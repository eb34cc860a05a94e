import assert from "node:assert/strict";
import { join } from "node:path";
import { PsycheError } from "../error.ts";
import type { ClientEvent } from "../events/event.ts";
import {
  type Checkpoint,
  ClientState,
  type CoordinatorState,
  RunState,
} from "../protocol/coordinator_state.ts";
import { emptyCoordinatorState } from "../protocol/empty_state.ts";
import { assembleModel, writeModelDirectory } from "../trainer/model/model_directory.ts";
import { initialParameters } from "../trainer/model/init.ts";
import { formatLlamaConfig, nanoConfig } from "../trainer/model/llama_config.ts";
import { weightsSha256 } from "../trainer/model/weights_sha256.ts";
import type { Trainer } from "../trainer/trainer.ts";
import { Checkpointer, type CheckpointerOptions } from "./checkpointer.ts";
import { type CheckpointTarget, gcsTarget, hubTarget, localTarget } from "./checkpoint_target.ts";
import { type CheckpointSettings, openCheckpointer } from "./open_checkpointer.ts";

const SIGNER = new Uint8Array(32).fill(7);
const REPO = { repoId: "owner/tiny", revision: "c".repeat(40) };
const CONFIG = { ...nanoConfig(16), hiddenSize: 16, intermediateSize: 16, layers: 1 };

/** Saves a real, small model. */
function trainerWith(seed: number): Trainer {
  const data = initialParameters(CONFIG, seed);
  const model = assembleModel(
    { config: formatLlamaConfig(CONFIG), tokenizer: null },
    new Map([...data].map(([name, values]) => [name, { data: values }])),
  );
  return {
    weightsSha256: () => Promise.resolve(weightsSha256(model.parameters)),
    saveCheckpoint: (directory, format) => writeModelDirectory(directory, model, format),
  } as Partial<Trainer> as Trainer;
}

/** A state in which this client is a member and the chain takes any checkpoint. */
function stateAt(step: number): CoordinatorState {
  const state = emptyCoordinatorState("test", "test");
  state.runState = RunState.Cooldown;
  state.progress.step = step;
  state.epochState.clients = [
    { id: { signer: SIGNER, p2pIdentity: SIGNER }, state: ClientState.Healthy, exitedHeight: 0 },
  ];
  state.model.checkpoint = { kind: "P2P", repo: REPO };
  return state;
}

interface Scene {
  directory: string;
  events: ClientEvent[];
  recorded: Checkpoint[];
  /** What the chain answers when it is read. */
  chainState: CoordinatorState;
  open(change?: Partial<CheckpointerOptions>): Checkpointer;
  names(): string[];
  /** Codes of failures with their stages. */
  failures(): string[];
}

async function inScene(use: (scene: Scene) => Promise<void>): Promise<void> {
  const directory = await Deno.makeTempDir();
  const scene: Scene = {
    directory,
    events: [],
    recorded: [],
    chainState: stateAt(0),
    open: (change) =>
      new Checkpointer({
        directory,
        format: {},
        keepSteps: 2,
        target: null,
        chain: {
          read: () => Promise.resolve(scene.chainState),
          checkpoint: (checkpoint) => {
            scene.recorded.push(checkpoint);
            return Promise.resolve({ signature: "signed", feeLamports: 5000 });
          },
        },
        signer: SIGNER,
        emit: (event) => scene.events.push(event),
        ...change,
      }),
    names: () => [...Deno.readDirSync(directory)].map(({ name }) => name).sort(),
    failures: () =>
      scene.events.flatMap((event) =>
        event.type === "checkpoint_failed" ? [`${event.stage} ${event.code}`] : []
      ),
  };
  try {
    await use(scene);
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
}

const publishing = (publish: CheckpointTarget["publish"]): CheckpointTarget => ({
  check: () => Promise.resolve(),
  publish,
});

Deno.test("checkpoints are named by the last step, and only the newest of this process stay", () =>
  inScene(async ({ open, names, directory, events }) => {
    await Deno.mkdir(join(directory, "test-step1"));
    const checkpointer = open();
    for (const step of [5, 9, 13]) await checkpointer.save(trainerWith(step), stateAt(step));
    await checkpointer.close();
    // What was there before is nobody's business here.
    assert.deepEqual(names(), ["test-step1", "test-step12", "test-step8"]);
    const saved = events.filter((event) => event.type === "checkpoint");
    assert.deepEqual(saved.map(({ step }) => step), [4, 8, 12]);
    assert.equal(saved[2].weights_sha256, await trainerWith(13).weightsSha256());
  }));

Deno.test("a published checkpoint is recorded, then older ones go", () =>
  inScene(async ({ open, names, recorded, events, directory }) => {
    const checkpointer = open({
      keepSteps: 1,
      target: publishing((path, subject) => {
        assert.deepEqual(subject, { runId: "test", epoch: 0, step: 4 + recorded.length });
        assert.equal(path, join(directory, `test-step${subject.step}`));
        return Promise.resolve({ kind: "Hub", repo: REPO });
      }),
    });
    for (const step of [5, 6]) {
      await checkpointer.save(trainerWith(step), stateAt(step));
      while (recorded.length < step - 4) await new Promise((done) => setTimeout(done, 1));
    }
    await checkpointer.close();
    assert.deepEqual(recorded, Array(2).fill({ kind: "Hub", repo: REPO }));
    assert.deepEqual(names(), ["test-step5"]);
    const told = events.filter((event) => event.type === "checkpoint_recorded");
    assert.deepEqual(told.map(({ place, step }) => `${place} ${step}`), [
      `owner/tiny@${REPO.revision} 4`,
      `owner/tiny@${REPO.revision} 5`,
    ]);
  }));

Deno.test("what fails is told, nothing is removed, and the next checkpoint is tried again", () =>
  inScene(async ({ open, names, recorded, failures }) => {
    let down = true;
    const checkpointer = open({
      keepSteps: 1,
      target: publishing(() =>
        down
          ? Promise.reject(new PsycheError("HUB_UNAVAILABLE", "It is down."))
          : Promise.resolve({ kind: "Hub", repo: REPO })
      ),
    });
    await checkpointer.save(trainerWith(1), stateAt(3));
    while (failures().length === 0) await new Promise((done) => setTimeout(done, 1));
    assert.deepEqual(names(), ["test-step2"]);
    down = false;
    await checkpointer.save(trainerWith(2), stateAt(5));
    await checkpointer.close();
    assert.deepEqual(failures(), ["upload HUB_UNAVAILABLE"]);
    assert.equal(recorded.length, 1);
    assert.deepEqual(names(), ["test-step4"]);
  }));

Deno.test("an upload that takes longer than epochs does not hold them up, and goes on to the newest", () =>
  inScene(async ({ open, names, recorded, events }) => {
    const slow = Promise.withResolvers<void>();
    const uploaded: number[] = [];
    const checkpointer = open({
      keepSteps: null,
      target: publishing(async (_path, { step }) => {
        uploaded.push(step);
        await slow.promise;
        return { kind: "Hub", repo: REPO };
      }),
    });
    for (const step of [2, 3, 4]) await checkpointer.save(trainerWith(step), stateAt(step));
    const closed = checkpointer.close();
    slow.resolve();
    await closed;
    assert.deepEqual(uploaded, [1, 3]);
    assert.equal(recorded.length, 2);
    assert.deepEqual(names(), ["test-step1", "test-step2", "test-step3"]);
    // Whoever stops the client is told what it waits for.
    assert.equal(events.filter((event) => event.type === "waiting").length, 1);
    const skipped = events.filter((event) => event.type === "warning");
    assert.deepEqual(skipped.map(({ code }) => code), ["CHECKPOINT_SKIPPED"]);
  }));

Deno.test("a directory that is there counts when it holds the same weights", () =>
  inScene(async ({ open, names, events, failures }) => {
    await open().save(trainerWith(1), stateAt(3));
    await open().save(trainerWith(1), stateAt(3));
    assert.deepEqual(failures(), []);
    assert.equal(events.filter((event) => event.type === "checkpoint").length, 2);
    await open().save(trainerWith(2), stateAt(3));
    assert.deepEqual(failures(), ["save MODEL_DIRECTORY_EXISTS"]);
    assert.deepEqual(names(), ["test-step2"]);
  }));

Deno.test("the chain is told when it listens and nobody is loading what it says", () =>
  inScene(async (scene) => {
    const bucket: Checkpoint = { kind: "Gcs", repo: { bucket: "b", prefix: null } };
    const target = publishing(() => Promise.resolve(bucket));
    // A run that still begins from the Hub ignores a bucket; so it stays when the client leaves.
    scene.chainState.model.checkpoint = { kind: "Hub", repo: REPO };
    const leaving = scene.open({ target });
    await leaving.save(trainerWith(1), stateAt(3));
    await leaving.close();
    assert.deepEqual(scene.failures(), ["record CHECKPOINT_NOT_RECORDED"]);
    // In Warmup its members are loading; a moment later they share.
    scene.chainState.model.checkpoint = bucket;
    scene.chainState.runState = RunState.Warmup;
    const staying = scene.open({ target });
    await staying.save(trainerWith(1), stateAt(5));
    assert.deepEqual(scene.recorded, []);
    scene.chainState.runState = RunState.RoundTrain;
    while (scene.recorded.length === 0) await new Promise((done) => setTimeout(done, 10));
    await staying.close();
    assert.deepEqual(scene.recorded, [bucket]);
    // Only members are listened to.
    scene.chainState.epochState.clients = [];
    const stranger = scene.open({ target });
    await stranger.save(trainerWith(1), stateAt(7));
    await stranger.close();
    assert.deepEqual(scene.failures().slice(1), ["record CHECKPOINT_NOT_RECORDED"]);
  }));

Deno.test("a chain that cannot be reached is asked again, unless the client is leaving", () =>
  inScene(async ({ open, recorded, failures, chainState }) => {
    let reads = 0;
    const target = publishing(() => Promise.resolve({ kind: "Hub", repo: REPO }));
    const chain: CheckpointerOptions["chain"] = {
      read() {
        if (++reads > 1) return Promise.resolve(chainState);
        return Promise.reject(new PsycheError("RPC_UNREACHABLE", "It is down."));
      },
      checkpoint(checkpoint) {
        recorded.push(checkpoint);
        return Promise.resolve({ signature: "signed", feeLamports: 5000 });
      },
    };
    const staying = open({ target, chain });
    await staying.save(trainerWith(1), stateAt(3));
    while (recorded.length === 0) await new Promise((done) => setTimeout(done, 10));
    await staying.close();
    assert.deepEqual([reads, failures()], [2, []]);
    reads = 0;
    const leaving = open({ target, chain });
    await leaving.save(trainerWith(1), stateAt(5));
    await leaving.close();
    assert.deepEqual(failures(), ["record RPC_UNREACHABLE"]);
  }));

Deno.test("what can never work is refused before the client joins", () =>
  inScene(async ({ directory }) => {
    const signal = new AbortController().signal;
    const none = () => Promise.reject(new Error("nobody may be asked"));
    const long = "x".repeat(65);
    const targets = [
      hubTarget(`owner/${long}`, { fetch: none, token: "hf_x" }),
      gcsTarget({ bucket: long, prefix: null }, { fetch: none, token: none }),
      gcsTarget({ bucket: "b", prefix: long }, { fetch: none, token: none }),
      localTarget(long),
    ];
    for (const target of targets) {
      await assert.rejects(async () => await target.check(signal), { code: "TEXT_TOO_LONG" });
    }
    const state = stateAt(0);
    const parts = {
      state,
      chain: { read: none, checkpoint: none },
      signer: SIGNER,
      hub: { fetch: none, cacheDirectory: directory },
      gcs: { fetch: none },
      emit: () => {},
    };
    const settings: CheckpointSettings = {
      directory: join(directory, "c"),
      dtype: "F32",
      keepSteps: 3,
      recordPath: false,
    };
    const open = (change: Partial<CheckpointSettings>) =>
      openCheckpointer({ ...settings, ...change }, parts, signal);
    const bucket = { bucket: "b", prefix: null };
    const refused: [Partial<CheckpointSettings>, string][] = [
      [{ hubRepo: "a/b", gcs: bucket }, "CHECKPOINT_SETTINGS_INVALID"],
      [{ hubRepo: "a/b", recordPath: true }, "CHECKPOINT_SETTINGS_INVALID"],
      [{ hubRepo: "a/b" }, "HUB_ACCESS_DENIED"],
      [{ hubRepo: "../b" }, "HUB_NAME_INVALID"],
      [{ gcs: bucket }, "GCS_ACCESS_DENIED"],
      // The run's model is of the Hub: a path would mean nothing to others.
      [{ recordPath: true }, "CHECKPOINT_SETTINGS_INVALID"],
    ];
    for (const [change, code] of refused) await assert.rejects(open(change), { code });
    await open({});
    await Deno.writeTextFile(join(directory, "file"), "");
    await assert.rejects(open({ directory: join(directory, "file", "c") }), {
      code: "OUTPUT_UNWRITABLE",
      message: /file\/c cannot be written/,
    });
    state.model.checkpoint = { kind: "P2P", repo: { repoId: directory, revision: null } };
    await open({ recordPath: true });
    await assert.rejects(open({ recordPath: true, directory: long }), { code: "TEXT_TOO_LONG" });
  }));
