import assert from "node:assert/strict";
import { join } from "node:path";
import type { Checkpoint, CoordinatorState } from "../protocol/coordinator_state.ts";
import { emptyCoordinatorState } from "../protocol/empty_state.ts";
import { FakeGcs } from "../trainer/gcs/fake_gcs.ts";
import { FAKE_URL, FakeHub } from "../trainer/hub/fake_hub.ts";
import { predownloadData, predownloadModel } from "./predownload.ts";

const bytes = (text: string) => new TextEncoder().encode(text);
const repo = { repoId: "owner/tiny", revision: null };

function stateWith(change: Partial<CoordinatorState["model"]>): CoordinatorState {
  const state = emptyCoordinatorState("test", "test");
  return { ...state, model: { ...state.model, ...change } };
}

Deno.test("the run's model and data set come into the cache", async () => {
  const cacheDirectory = await Deno.makeTempDir();
  try {
    const hub = new FakeHub(
      repo.repoId,
      new Map([
        ["config.json", bytes("{}")],
        ["model.safetensors", bytes("weights")],
        ["data/train-0.parquet", bytes("rows")],
      ]),
    );
    const options = { fetch: hub.fetch, hubUrl: FAKE_URL, cacheDirectory, pause: () => 0 };
    const bucket = new FakeGcs("runs");
    bucket.put("tiny/config.json", bytes("{}"));
    bucket.put("tiny/model.safetensors", bytes("weights"));
    const gcs = { fetch: bucket.fetch, cacheDirectory, pause: () => 0 };
    const sources = { hub: options, gcs };
    const place = { bucket: "runs", prefix: "tiny" };
    const kinds: Checkpoint[] = [
      { kind: "Hub", repo },
      { kind: "P2P", repo },
      { kind: "Gcs", repo: place },
      { kind: "P2PGcs", repo: place },
    ];
    for (const checkpoint of kinds) {
      const directory = await predownloadModel(stateWith({ checkpoint }), sources);
      assert.equal(await Deno.readTextFile(join(directory, "model.safetensors")), "weights");
    }
    await assert.rejects(
      predownloadModel(stateWith({ checkpoint: { kind: "Ephemeral" } }), sources),
      { code: "CHECKPOINT_NOT_SUPPORTED" },
    );
    const dataLocation = { kind: "Preprocessed", path: repo.repoId } as const;
    const data = await predownloadData(stateWith({ dataLocation }), options);
    assert.equal(await Deno.readTextFile(join(data!, "data/train-0.parquet")), "rows");
    assert.equal(
      await predownloadData(stateWith({ dataLocation: { kind: "Dummy" } }), options),
      null,
    );
  } finally {
    await Deno.remove(cacheDirectory, { recursive: true });
  }
});
