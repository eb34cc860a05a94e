import assert from "node:assert/strict";
import { join } from "node:path";
import { FAKE_TOKEN, FakeHub } from "./fake_hub.ts";
import { checkUploadRepository, type HubUploadOptions, uploadToHub } from "./hub_upload.ts";
import { resolveModelDirectory } from "./resolve_model.ts";

const NAME = "owner/tiny";

/** A directory to upload, and a Hub behind a real socket: bodies are streamed as to the real one. */
async function withUpload(
  use: (directory: string, hub: FakeHub, options: HubUploadOptions) => Promise<void>,
): Promise<void> {
  const directory = await Deno.makeTempDir();
  const hub = new FakeHub(NAME, new Map([["README.md", new TextEncoder().encode("mine")]]));
  await using server = Deno.serve(
    { port: 0, hostname: "127.0.0.1", onListen() {} },
    (request) => hub.fetch(request),
  );
  try {
    await Deno.writeTextFile(join(directory, "config.json"), '{"model_type":"llama"}');
    await Deno.writeFile(
      join(directory, "model.safetensors"),
      Uint8Array.from({ length: 3_000_000 }, (_, i) => i % 253),
    );
    await use(directory, hub, {
      fetch,
      token: FAKE_TOKEN,
      hubUrl: `http://127.0.0.1:${server.addr.port}`,
      pause: () => 0,
    });
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
}

Deno.test("a directory becomes one commit, which can be downloaded by its id", () =>
  withUpload(async (directory, hub, options) => {
    const before = hub.commit;
    const commit = await uploadToHub(directory, NAME, "step 7", options);
    assert.equal(commit, hub.commit);
    assert.notEqual(commit, before);
    assert.deepEqual(hub.commits.messages, ["step 7"]);
    assert.deepEqual([...hub.files.keys()].sort(), [
      "README.md",
      "config.json",
      "model.safetensors",
    ]);
    const cacheDirectory = join(directory, "cache");
    const resolve = (revision: string) =>
      resolveModelDirectory({ repoId: NAME, revision }, { ...options, cacheDirectory });
    const there = await resolve(commit);
    for (const file of ["config.json", "model.safetensors"]) {
      assert.deepEqual(
        await Deno.readFile(join(there, file)),
        await Deno.readFile(join(directory, file)),
      );
    }
    // A commit keeps meaning what it meant.
    await Deno.writeTextFile(join(directory, "model.safetensors"), "other weights");
    await uploadToHub(directory, NAME, "step 9", options);
    await Deno.remove(cacheDirectory, { recursive: true });
    const again = await resolve(commit);
    assert.equal((await Deno.stat(join(again, "model.safetensors"))).size, 3_000_000);
  }));

Deno.test("what is too large for one request is sent in parts", () =>
  withUpload(async (directory, hub, options) => {
    hub.commits.partBytes = 700_000;
    await uploadToHub(directory, NAME, "step 1", options);
    const parts = hub.requests.filter((request) => /^\/storage\/\w+\/\d$/.test(request));
    assert.equal(parts.length, 5);
    assert.deepEqual(
      hub.files.get("model.safetensors"),
      await Deno.readFile(join(directory, "model.safetensors")),
    );
  }));

Deno.test("weights that were split in another way do not stay beside the new ones", () =>
  withUpload(async (directory, hub, options) => {
    const old = ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"];
    const content = new TextEncoder().encode("old");
    for (const path of [...old, "model.safetensors.index.json", "consolidated.safetensors"]) {
      hub.files.set(path, content);
    }
    await uploadToHub(directory, NAME, "step 1", options);
    assert.deepEqual([...hub.files.keys()].sort(), [
      "README.md",
      "config.json",
      "consolidated.safetensors",
      "model.safetensors",
    ]);
  }));

Deno.test("large files that the Hub has are not sent again, failures are repeated", () =>
  withUpload(async (directory, hub, options) => {
    hub.failingCommits = 2;
    await uploadToHub(directory, NAME, "step 1", options);
    const puts = () => hub.requests.filter((request) => request.startsWith("/storage/")).length;
    assert.equal(puts(), 1);
    await uploadToHub(directory, NAME, "step 2", options);
    assert.equal(puts(), 1);
    assert.deepEqual(hub.commits.messages, ["step 1", "step 2"]);
    hub.failingCommits = 100;
    await assert.rejects(uploadToHub(directory, NAME, "step 3", options), (error: Error) => {
      assert.equal((error as unknown as { code: string }).code, "HUB_UNAVAILABLE");
      assert.ok(!error.message.includes(FAKE_TOKEN) && !error.message.includes("signature"));
      return true;
    });
  }));

Deno.test("no token, a wrong one, a missing repository and a path are refused beforehand", () =>
  withUpload(async (directory, hub, options) => {
    hub.needsToken = true;
    await checkUploadRepository(NAME, options);
    const refused: [string, Partial<HubUploadOptions>, string][] = [
      [NAME, { token: undefined }, "HUB_ACCESS_DENIED"],
      [NAME, { token: "hf_other" }, "HUB_ACCESS_DENIED"],
      ["owner/none", {}, "HUB_NOT_FOUND"],
      ["../x", {}, "HUB_NAME_INVALID"],
    ];
    for (const [name, change, code] of refused) {
      await assert.rejects(checkUploadRepository(name, { ...options, ...change }), { code });
      await assert.rejects(uploadToHub(directory, name, "x", { ...options, ...change }), { code });
    }
  }));

Deno.test("an aborted upload ends with the abort's reason and leaves no commit", () =>
  withUpload(async (directory, hub, options) => {
    const stop = new AbortController();
    const reason = new Error("enough");
    const aborting = (input: string | URL | Request, init?: RequestInit) => {
      if (String(input).includes("/commit/")) stop.abort(reason);
      return fetch(input, init);
    };
    await assert.rejects(
      uploadToHub(directory, NAME, "x", { ...options, fetch: aborting, signal: stop.signal }),
      reason,
    );
    assert.deepEqual(hub.commits.messages, []);
  }));
