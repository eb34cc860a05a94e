import assert from "node:assert/strict";
import { join } from "node:path";
import { FAKE_TOKEN, FAKE_URL, FakeHub } from "./fake_hub.ts";
import { hubCacheDirectory, repositoryFolder } from "./hub_cache.ts";
import type { HubOptions, HubProgress } from "./hub_download.ts";
import { hubFromEnvironment } from "./hub_environment.ts";
import { resolveDatasetDirectory } from "./resolve_dataset.ts";
import { resolveConfigDirectory, resolveModelDirectory } from "./resolve_model.ts";

const bytes = (length: number, seed: number) =>
  Uint8Array.from({ length }, (_, i) => (i * 7 + seed) % 251);
const text = (value: string) => new TextEncoder().encode(value);

const FILES = new Map<string, Uint8Array<ArrayBuffer>>([
  ["README.md", text("not wanted")],
  ["config.json", text('{"model_type":"llama"}')],
  [
    "model.safetensors.index.json",
    text(JSON.stringify({
      weight_map: {
        a: "model-00001-of-00002.safetensors",
        b: "model-00002-of-00002.safetensors",
      },
    })),
  ],
  ["model-00001-of-00002.safetensors", bytes(5000, 1)],
  ["model-00002-of-00002.safetensors", bytes(300, 2)],
  ["consolidated.safetensors", bytes(10, 3)],
  ["onnx/model.safetensors", bytes(10, 4)],
  ["tokenizer.json", text("{}")],
]);
const WANTED = [
  "config.json",
  "model-00001-of-00002.safetensors",
  "model-00002-of-00002.safetensors",
  "model.safetensors.index.json",
  "tokenizer.json",
];
const REPO = { repoId: "owner/tiny", revision: null };

async function withHub(
  use: (hub: FakeHub, options: HubOptions, cache: string) => Promise<void>,
): Promise<void> {
  const cache = await Deno.makeTempDir();
  const hub = new FakeHub("owner/tiny", new Map(FILES));
  try {
    await use(hub, {
      fetch: hub.fetch,
      hubUrl: FAKE_URL,
      cacheDirectory: cache,
      pause: () => 0,
    }, cache);
  } finally {
    await Deno.remove(cache, { recursive: true });
  }
}

async function assertModel(directory: string) {
  const names = [...Deno.readDirSync(directory)].map(({ name }) => name).sort();
  assert.deepEqual(names, WANTED);
  for (const name of names) {
    assert.deepEqual(await Deno.readFile(join(directory, name)), FILES.get(name));
  }
}

Deno.test("a model is downloaded into the cache that all Hub tools share", () =>
  withHub(async (hub, options, cache) => {
    const progress: HubProgress[] = [];
    const directory = await resolveModelDirectory(REPO, {
      ...options,
      onProgress: (now) => progress.push(now),
    });
    const folder = join(cache, "models--owner--tiny");
    assert.equal(directory, join(folder, "snapshots", hub.commit));
    assert.equal(await Deno.readTextFile(join(folder, "refs", "main")), hub.commit);
    assert.equal([...Deno.readDirSync(join(folder, "blobs"))].length, WANTED.length);
    await assertModel(directory);
    const total = WANTED.reduce((sum, name) => sum + FILES.get(name)!.length, 0);
    const { bytes, totalBytes, files } = progress.at(-1)!;
    assert.deepEqual([bytes, totalBytes, files], [total, total, WANTED.length]);
  }));

Deno.test("what is there is not fetched again, a commit not even asked for", () =>
  withHub(async (hub, options) => {
    const first = await resolveModelDirectory(REPO, options);
    hub.requests.length = 0;
    assert.equal(await resolveModelDirectory(REPO, options), first);
    assert.ok(hub.requests.every((request) => request.startsWith("/api/")), `${hub.requests}`);
    hub.requests.length = 0;
    assert.equal(await resolveModelDirectory({ ...REPO, revision: hub.commit }, options), first);
    assert.deepEqual(hub.requests, []);
  }));

Deno.test("config.json is fetched without the weights, and the weights after it", () =>
  withHub(async (hub, options) => {
    const directory = await resolveConfigDirectory(REPO, options);
    assert.deepEqual([...Deno.readDirSync(directory)].map(({ name }) => name), ["config.json"]);
    assert.equal(hub.requests.filter((request) => request.includes("/resolve/")).length, 1);
    assert.equal(await resolveModelDirectory(REPO, options), directory);
    await assertModel(directory);
  }));

Deno.test("a moved branch is followed; without network the cache answers", () =>
  withHub(async (hub, options) => {
    const first = await resolveModelDirectory(REPO, options);
    hub.online = false;
    assert.equal(await resolveModelDirectory(REPO, options), first);
    await assert.rejects(resolveModelDirectory({ ...REPO, revision: "other" }, options), {
      code: "HUB_UNAVAILABLE",
    });
    hub.requests.length = 0;
    const offline = { ...options, offline: true };
    assert.equal(await resolveModelDirectory(REPO, offline), first);
    await assert.rejects(resolveModelDirectory({ ...REPO, revision: "other" }, offline), {
      code: "HUB_UNAVAILABLE",
    });
    assert.equal(hub.requests.length, 0);
    hub.online = true;
    hub.commit = "d".repeat(40);
    hub.files.set("tokenizer.json", text('{"new":1}'));
    const second = await resolveModelDirectory(REPO, options);
    assert.notEqual(second, first);
    assert.equal(await Deno.readTextFile(join(second, "tokenizer.json")), '{"new":1}');
    // The weights are the same blobs: nothing but the changed file was fetched.
    assert.equal(hub.requests.filter((r) => r.includes(`resolve/${hub.commit}`)).length, 1);
  }));

Deno.test("a download that breaks off is continued", () =>
  withHub(async (hub, options) => {
    hub.cutAfter = [10, 20, 30];
    await assertModel(await resolveModelDirectory(REPO, { ...options, concurrency: 1 }));
    assert.ok(hub.requests.some((request) => request.endsWith("bytes=10-")), `${hub.requests}`);
  }));

Deno.test("a process that died leaves a part that the next one continues", () =>
  withHub(async (hub, options, cache) => {
    hub.cutAfter = Array(50).fill(8);
    await assert.rejects(resolveModelDirectory(REPO, options), { code: "HUB_UNAVAILABLE" });
    hub.cutAfter = [];
    hub.requests.length = 0;
    await assertModel(await resolveModelDirectory(REPO, options));
    assert.ok(hub.requests.some((request) => / bytes=\d+-$/.test(request)));
    const blobs = join(cache, "models--owner--tiny", "blobs");
    for (const { name } of Deno.readDirSync(blobs)) assert.ok(!name.endsWith(".incomplete"), name);
  }));

Deno.test("a server without ranges sends everything again", () =>
  withHub(async (hub, options) => {
    hub.ranges = false;
    hub.cutAfter = [100];
    await assertModel(await resolveModelDirectory(REPO, { ...options, concurrency: 1 }));
  }));

for (const damaged of ["config.json", "model-00002-of-00002.safetensors"]) {
  Deno.test(`damage is found, thrown away and reported: ${damaged}`, () =>
    withHub(async (hub, options) => {
      hub.damaged.add(damaged);
      await assert.rejects(resolveModelDirectory(REPO, options), { code: "HUB_FILE_CORRUPT" });
      hub.damaged.clear();
      await assertModel(await resolveModelDirectory(REPO, options));
    }));
}

Deno.test("a token opens what is not public; refusals say what to do", () =>
  withHub(async (hub, options) => {
    hub.needsToken = true;
    await assert.rejects(
      resolveModelDirectory(REPO, options),
      (error: Error & { code: string }) =>
        error.code === "HUB_ACCESS_DENIED" && error.message.includes("HF_TOKEN"),
    );
    await assert.rejects(resolveModelDirectory(REPO, { ...options, token: "secret" }), {
      code: "HUB_ACCESS_DENIED",
    });
    await assertModel(await resolveModelDirectory(REPO, { ...options, token: FAKE_TOKEN }));
    await assert.rejects(
      resolveModelDirectory({ ...REPO, revision: "nope" }, { ...options, token: FAKE_TOKEN }),
      { code: "HUB_NOT_FOUND" },
    );
  }));

Deno.test("impossible names, sizes and contents are refused", () =>
  withHub(async (hub, options) => {
    for (const repoId of ["../x", "a/../b", "/etc", "a/b/c", "", "a b"]) {
      await assert.rejects(resolveModelDirectory({ repoId, revision: "main" }, options), {
        code: "HUB_NAME_INVALID",
      });
    }
    for (const revision of ["../main", "a/../b", "a//b", "", "."]) {
      await assert.rejects(resolveModelDirectory({ repoId: "owner/tiny", revision }, options), {
        code: "HUB_NAME_INVALID",
      });
    }
    await assert.rejects(resolveModelDirectory(REPO, { ...options, maxBytes: 1000 }), {
      code: "HUB_TOO_LARGE",
    });
    hub.files.set("../../escape.json", text("x"));
    await assert.rejects(resolveModelDirectory(REPO, options), { code: "HUB_ANSWER_INVALID" });
    hub.files.delete("../../escape.json");
    hub.files.delete("config.json");
    await assert.rejects(resolveModelDirectory(REPO, options), { code: "HUB_FILES_MISSING" });
  }));

Deno.test("a local directory is used as it is, unless a revision is asked for", () =>
  withHub(async (hub, options, cache) => {
    assert.equal(await resolveModelDirectory({ repoId: cache, revision: null }, options), cache);
    assert.deepEqual(hub.requests, []);
    await assert.rejects(resolveModelDirectory({ repoId: cache, revision: "main" }, options), {
      code: "HUB_NAME_INVALID",
    });
  }));

Deno.test("aborting ends a download with the abort's reason", () =>
  withHub(async (_hub, options) => {
    const stop = new AbortController();
    const reason = new Error("enough");
    const onProgress = () => stop.abort(reason);
    await assert.rejects(
      resolveModelDirectory(REPO, { ...options, onProgress, signal: stop.signal }),
      reason,
    );
  }));

Deno.test("of a data set only the wanted subset is fetched, also from the parquet branch", () =>
  withHub(async (hub, options) => {
    hub.files.clear();
    for (const path of ["a/test/0000.parquet", "a/dev/0000.parquet", "b/test/0000.parquet"]) {
      hub.files.set(path, text(path));
    }
    hub.files.set("README.md", text("x"));
    const part = { revision: "refs/convert/parquet", split: "test" };
    const resolve = (subset?: string) =>
      resolveDatasetDirectory("owner/tiny", options, { ...part, subset });
    const directory = await resolve("a");
    assert.equal(
      await Deno.readTextFile(join(directory, "a/dev/0000.parquet")),
      "a/dev/0000.parquet",
    );
    await assert.rejects(Deno.stat(join(directory, "b")));
    hub.online = false;
    assert.equal(await resolve("a"), directory);
    await assert.rejects(resolve("b"), { code: "HUB_UNAVAILABLE" });
    hub.online = true;
    assert.equal(await resolve("b"), directory);
    await assert.rejects(resolve("c"), { code: "HUB_FILES_MISSING" });
    await assert.rejects(resolveDatasetDirectory("owner/tiny", undefined), {
      code: "DATA_UNAVAILABLE",
    });
  }));

Deno.test("the environment names token and Hub, and forbids to ask it", () => {
  const read = (variables: Record<string, string>) => hubFromEnvironment((name) => variables[name]);
  const given = {
    HF_HOME: "/hf",
    HF_TOKEN: " hf_x\n",
    HF_ENDPOINT: "http://h/",
    HF_HUB_OFFLINE: "1",
  };
  assert.deepEqual(read(given), {
    cacheDirectory: join("/hf", "hub"),
    token: "hf_x",
    hubUrl: "http://h",
    offline: true,
  });
  const { token, hubUrl, offline } = read({ HOME: "/h", HF_TOKEN: "", HF_ENDPOINT: "" });
  assert.deepEqual([token, hubUrl, offline], [undefined, undefined, false]);
});

Deno.test("the cache is where the environment says", () => {
  const at = (variables: Record<string, string>) => hubCacheDirectory((name) => variables[name]);
  assert.equal(at({ HOME: "/h" }), join("/h", ".cache", "huggingface", "hub"));
  assert.equal(at({ HOME: "/h", XDG_CACHE_HOME: "/c" }), join("/c", "huggingface", "hub"));
  assert.equal(at({ HOME: "/h", HF_HOME: "/hf" }), join("/hf", "hub"));
  assert.equal(at({ HF_HOME: "/hf", HF_HUB_CACHE: "/x" }), "/x");
  assert.equal(
    repositoryFolder("/c", { type: "dataset", name: "a/b" }),
    join("/c", "datasets--a--b"),
  );
});
