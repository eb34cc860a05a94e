import assert from "node:assert/strict";
import { CHECKPOINT_FLAGS, checkpointProblems, checkpointSettings } from "./checkpoint_flags.ts";
import { resolveSettings } from "./settings.ts";

/** The flags as a command line and an environment give them. */
function read(flags: Record<string, string>, environment: Record<string, string> = {}) {
  const { values, problems } = resolveSettings(CHECKPOINT_FLAGS, {
    flags,
    environment: (name) => environment[name],
  });
  return { values, problems: [...problems, ...checkpointProblems(values)] };
}

Deno.test("no directory, no checkpoints; with one the newest three stay, as the weights are", () => {
  assert.equal(checkpointSettings(read({}).values), undefined);
  assert.deepEqual(checkpointSettings(read({ checkpointDir: "c" }).values), {
    directory: "c",
    dtype: "F32",
    keepSteps: 3,
    hubRepo: undefined,
    gcs: undefined,
    recordPath: false,
  });
});

Deno.test("places, numbers and what stays are set by flags or the environment", () => {
  const bucket = read({ checkpointDtype: "bf16", deleteOldSteps: "false" }, {
    CHECKPOINT_DIR: "c",
    GCS_BUCKET: "runs",
    GCS_PREFIX: "tiny",
    KEEP_STEPS: "7",
  });
  assert.deepEqual(bucket.problems, []);
  const settings = checkpointSettings(bucket.values);
  assert.deepEqual(settings?.gcs, { bucket: "runs", prefix: "tiny" });
  assert.deepEqual([settings?.dtype, settings?.keepSteps], ["BF16", null]);
  const hub = read({ checkpointDir: "c", hubRepo: "a/b", keepSteps: "1" });
  assert.deepEqual(hub.problems, []);
  assert.deepEqual(checkpointSettings(hub.values)?.keepSteps, 1);
});

Deno.test("flags that exclude or need each other", () => {
  const wrong: [Record<string, string>, RegExp][] = [
    [{ hubRepo: "a/b" }, /--hub-repo needs --checkpoint-dir/],
    [{ recordCheckpoint: "true" }, /--record-checkpoint needs --checkpoint-dir/],
    [{ checkpointDir: "c", hubRepo: "a/b", gcsBucket: "x" }, /exclude each other/],
    [{ checkpointDir: "c", hubRepo: "a/b", recordCheckpoint: "true" }, /exclude each other/],
    [{ checkpointDir: "c", gcsPrefix: "p" }, /--gcs-prefix needs --gcs-bucket/],
    [{ checkpointDir: "c", keepSteps: "0" }, /keep-steps/],
    [{ checkpointDir: "c", checkpointDtype: "fp8" }, /neither fp32 nor bf16/],
  ];
  for (const [flags, problem] of wrong) {
    const { problems } = read(flags);
    assert.equal(problems.length, 1, problems.join("; "));
    assert.match(problems[0], problem);
  }
});
