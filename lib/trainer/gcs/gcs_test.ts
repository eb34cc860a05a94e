import assert from "node:assert/strict";
import { join } from "node:path";
import { FAKE_GCS_TOKEN, FakeGcs } from "./fake_gcs.ts";
import { gcsFromEnvironment } from "./gcs_access.ts";
import { type GcsOptions, type GcsProgress, resolveGcsModel } from "./gcs_download.ts";
import { formatManifest, MANIFEST, parseManifest } from "./gcs_manifest.ts";
import { checkUploadBucket, uploadToGcs } from "./gcs_upload.ts";

const text = (value: string) => new TextEncoder().encode(value);
const weights = (length: number, seed: number) =>
  Uint8Array.from({ length }, (_, i) => (i * 7 + seed) % 251);
const REPO = { bucket: "runs", prefix: "a/tiny" };
const TOKEN = () => Promise.resolve(FAKE_GCS_TOKEN);
const ABOUT = { epoch: 2, step: 7, runId: "test" };

/** A bucket behind a real socket, an empty cache and a directory to upload. */
async function withBucket(
  use: (gcs: FakeGcs, options: GcsOptions, upload: string) => Promise<void>,
): Promise<void> {
  const folder = await Deno.makeTempDir();
  const gcs = new FakeGcs("runs");
  await using server = Deno.serve(
    { port: 0, hostname: "127.0.0.1", onListen() {} },
    (request) => gcs.fetch(request),
  );
  try {
    const upload = join(folder, "upload");
    await Deno.mkdir(upload);
    await Deno.writeTextFile(join(upload, "config.json"), "{}");
    await Deno.writeFile(join(upload, "model.safetensors"), weights(400_000, 1));
    await use(gcs, {
      fetch,
      gcsUrl: `http://127.0.0.1:${server.addr.port}`,
      cacheDirectory: join(folder, "cache"),
      pause: () => 0,
    }, upload);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

const visible = (directory: string) =>
  [...Deno.readDirSync(directory)].map(({ name }) => name).filter((n) => !n.startsWith(".")).sort();

Deno.test("what was uploaded is downloaded, and kept until there is something newer", () =>
  withBucket(async (gcs, options, upload) => {
    const token = TOKEN;
    await checkUploadBucket(REPO, { ...options, token });
    await uploadToGcs(upload, REPO, ABOUT, { ...options, token });
    assert.deepEqual([...gcs.objects.keys()].at(-1), `${REPO.prefix}/${MANIFEST}`);
    const progress: GcsProgress[] = [];
    const onProgress = (now: GcsProgress) => progress.push(now);
    const directory = await resolveGcsModel(REPO, { ...options, onProgress });
    const { generation } = gcs.objects.get(`${REPO.prefix}/${MANIFEST}`)!;
    assert.equal(
      directory,
      join(options.cacheDirectory, "runs", "a", "tiny", `step-7-${generation}`),
    );
    assert.deepEqual(visible(directory), ["config.json", "model.safetensors"]);
    assert.deepEqual(
      await Deno.readFile(join(directory, "model.safetensors")),
      weights(400_000, 1),
    );
    const total = 400_002;
    assert.deepEqual(progress.at(-1), {
      name: "gs://runs/a/tiny",
      bytes: total,
      totalBytes: total,
    });
    gcs.requests.length = 0;
    assert.equal(await resolveGcsModel(REPO, options), directory);
    assert.equal(gcs.requests.length, 1, "only the manifest is asked for again");

    await Deno.writeFile(join(upload, "model.safetensors"), weights(400_000, 2));
    await uploadToGcs(upload, REPO, { ...ABOUT, step: 9 }, { ...options, token });
    const next = await resolveGcsModel(REPO, options);
    assert.match(next, /step-9-/);
    assert.deepEqual(await Deno.readFile(join(next, "model.safetensors")), weights(400_000, 2));
  }));

Deno.test("a download that breaks off is continued, failing requests are repeated", () =>
  withBucket(async (gcs, options, upload) => {
    await uploadToGcs(upload, REPO, ABOUT, { ...options, token: TOKEN });
    gcs.requests.length = 0;
    gcs.failing = 2;
    gcs.cutAfter = [1000, 70_000];
    const directory = await resolveGcsModel(REPO, { ...options, fetch: gcs.fetch });
    assert.deepEqual(
      await Deno.readFile(join(directory, "model.safetensors")),
      weights(400_000, 1),
    );
    const ranges = gcs.requests.flatMap((request) => / (bytes=\d+-)$/.exec(request)?.[1] ?? []);
    assert.deepEqual(ranges, ["bytes=1000-", "bytes=71000-"]);
  }));

Deno.test("without a manifest the prefix is listed; replaced files are fetched again", () =>
  withBucket(async (gcs, options) => {
    const put = (name: string, content: Uint8Array<ArrayBuffer>) =>
      gcs.put(`a/tiny/${name}`, content);
    put("config.json", text("{}"));
    put("tokenizer.json", text("[]"));
    put("model.safetensors", weights(5000, 3));
    put("consolidated.safetensors", weights(10, 3));
    put("deep/model.safetensors", weights(10, 3));
    put("notes.txt", text("x"));
    const directory = await resolveGcsModel(REPO, options);
    assert.equal(directory, join(options.cacheDirectory, "runs", "a", "tiny", "no_manifest"));
    assert.deepEqual(visible(directory), ["config.json", "model.safetensors", "tokenizer.json"]);
    put("model.safetensors", weights(5000, 4));
    gcs.objects.delete("a/tiny/tokenizer.json");
    assert.equal(await resolveGcsModel(REPO, options), directory);
    assert.deepEqual(visible(directory), ["config.json", "model.safetensors"]);
    assert.deepEqual(await Deno.readFile(join(directory, "model.safetensors")), weights(5000, 4));
  }));

Deno.test("settings that a manifest does not list are taken from beside it", () =>
  withBucket(async (gcs, options) => {
    gcs.put("a/tiny/config.json", text("{}"));
    gcs.put("a/tiny/model.safetensors.index.json", text("of another checkpoint"));
    const generation = String(gcs.put("a/tiny/model.safetensors", weights(50, 5)));
    const files = [{ path: "model.safetensors", generation, size: 50 }];
    gcs.put(`a/tiny/${MANIFEST}`, text(formatManifest({ ...ABOUT, files }, 0)));
    const directory = await resolveGcsModel(REPO, options);
    assert.deepEqual(visible(directory), ["config.json", "model.safetensors"]);
  }));

Deno.test("a checkpoint that is replaced while it is read is read anew", () =>
  withBucket(async (_gcs, options, upload) => {
    const write = { ...options, token: TOKEN };
    await uploadToGcs(upload, REPO, ABOUT, write);
    let replaced = false;
    const racing = async (input: string | URL | Request, init?: RequestInit) => {
      if (!replaced && String(input).includes("generation=")) {
        replaced = true;
        await Deno.writeFile(join(upload, "model.safetensors"), weights(100, 9));
        await uploadToGcs(upload, REPO, { ...ABOUT, step: 8 }, write);
      }
      return await fetch(input, init);
    };
    const directory = await resolveGcsModel(REPO, { ...options, fetch: racing });
    assert.match(directory, /step-8-/);
    assert.deepEqual(await Deno.readFile(join(directory, "model.safetensors")), weights(100, 9));
  }));

Deno.test("what cannot work is refused in words", () =>
  withBucket(async (gcs, options, upload) => {
    await assert.rejects(resolveGcsModel(REPO, options), { code: "GCS_FILES_MISSING" });
    const elsewhere = { bucket: "none", prefix: null };
    await assert.rejects(resolveGcsModel(elsewhere, options), { code: "GCS_NOT_FOUND" });
    for (const prefix of ["../x", "a/../../b", ".hidden", "a\\b"]) {
      const repo = { bucket: "runs", prefix };
      await assert.rejects(resolveGcsModel(repo, options), { code: "GCS_NAME_INVALID" });
    }
    gcs.needsToken = true;
    await assert.rejects(resolveGcsModel(REPO, options), { code: "GCS_ACCESS_DENIED" });
    await assert.rejects(uploadToGcs(upload, REPO, ABOUT, options), { code: "GCS_ACCESS_DENIED" });
    gcs.permissions = ["storage.objects.create"];
    const trusted = { ...options, token: TOKEN };
    await assert.rejects(checkUploadBucket(REPO, trusted), (error: Error) => {
      assert.match(error.message, /lacks storage\.objects\.delete/);
      assert.ok(!error.message.includes(FAKE_GCS_TOKEN));
      return true;
    });
    const manifests: unknown[] = [
      null,
      [],
      { metadata: { step: 1 }, files: [] },
      { metadata: { step: -1 }, files: [{ filename: "a", generation: 1, size_bytes: 1 }] },
      ...["../a", "a/b", ".a", "", 5].map((filename) => ({
        metadata: { step: 1 },
        files: [{ filename, generation: 1, size_bytes: 1 }],
      })),
      { metadata: { step: 1 }, files: [{ filename: "a", generation: "1&x=", size_bytes: 1 }] },
      { metadata: { step: 1 }, files: [{ filename: "a", generation: 1, size_bytes: -1 }] },
    ];
    for (const manifest of manifests) {
      assert.throws(() => parseManifest(manifest, "it"), { code: "GCS_MANIFEST_INVALID" });
    }
  }));

Deno.test("aborting ends with the abort's reason", () =>
  withBucket(async (_gcs, options, upload) => {
    await uploadToGcs(upload, REPO, ABOUT, { ...options, token: TOKEN });
    const stop = new AbortController();
    const reason = new Error("enough");
    const onProgress = () => stop.abort(reason);
    const download = resolveGcsModel(REPO, { ...options, onProgress, signal: stop.signal });
    await assert.rejects(download, reason);
  }));

Deno.test("the environment names token, service and cache", async () => {
  const read = (variables: Record<string, string>) => gcsFromEnvironment((n) => variables[n]);
  const { token, ...rest } = read({
    HF_HOME: "/hf",
    GOOGLE_OAUTH_ACCESS_TOKEN: "t\n",
    GOOGLE_APPLICATION_CREDENTIALS: "/not/asked",
    STORAGE_EMULATOR_HOST: "h:1/",
  });
  assert.deepEqual(rest, { cacheDirectory: join("/hf", "psyche", "gcs"), gcsUrl: "http://h:1" });
  assert.equal(await token?.(fetch), "t");
  const cacheDirectory = join("/h", ".cache", "psyche", "gcs");
  assert.deepEqual(read({ HOME: "/h" }), { cacheDirectory, token: undefined, gcsUrl: undefined });
});
