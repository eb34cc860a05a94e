import assert from "node:assert/strict";
import { join } from "node:path";
import { loadDataConfig, parseDataConfig } from "./data_config.ts";
import { openServedData } from "./open_served_data.ts";

const parse = (text: string) => parseDataConfig(text, "data.toml", "/base");
const invalid = (key: RegExp) => (error: Error & { code: string }) => {
  assert.equal(error.code, "DATA_CONFIG_INVALID");
  assert.match(error.message, key);
  return true;
};

Deno.test("a data configuration in both spellings of the token size", () => {
  const seed = Array.from({ length: 32 }, (_, i) => i);
  assert.deepEqual(parse(`dir = "d"\ntoken_size = "FourBytes"\nseq_len = 64\n`), {
    directory: "/base/d",
    tokenBytes: 4,
    sequenceLength: 64,
    shuffle: { kind: "DontShuffle" },
  });
  assert.deepEqual(
    parse(`dir = "/abs"\ntoken_size = 2\nseq_len = 1\nshuffle_seed = [${seed}]`),
    {
      directory: "/abs",
      tokenBytes: 2,
      sequenceLength: 1,
      shuffle: { kind: "Seeded", seed: Uint8Array.from(seed) },
    },
  );
  assert.equal(parse(`dir = "d"\nseq_len = 4`).tokenBytes, null);
});

Deno.test("the example is one", async () => {
  const path = join(import.meta.dirname!, "..", "..", "config", "data.toml");
  const { directory, tokenBytes, sequenceLength } = await loadDataConfig(path);
  assert.match(directory, /\.psyche[/\\]data[/\\]factbook\.bin$/);
  assert.deepEqual([tokenBytes, sequenceLength], [2, 128]);
});

Deno.test("every problem of a data configuration is told", async () => {
  assert.throws(
    () => parse(`token_size = 3\nseq_len = 0\nshuffle_seed = [1]\nsequence = 1`),
    invalid(
      /dir is missing[\s\S]*token_size[\s\S]*shuffle_seed[\s\S]*sequence is not a known key$/,
    ),
  );
  assert.throws(() => parse(`dir = ""\nseq_len = 0`), invalid(/dir[\s\S]*seq_len/));
  assert.throws(() => parse(`dir = "d"\nseq_len = 4\ntoken_size = "Two"`), invalid(/token_size/));
  assert.throws(() => parse("dir = "), invalid(/data\.toml/));
  assert.throws(() => parse("#".repeat(70_000)), invalid(/longer/));
  await assert.rejects(loadDataConfig("/no/such/data.toml"), invalid(/no such file/));
});

Deno.test("what stands in the directory decides how it is read", async () => {
  const directory = await Deno.makeTempDir();
  const config = {
    directory,
    tokenBytes: 2 as const,
    sequenceLength: 6,
    shuffle: { kind: "DontShuffle" as const },
  };
  try {
    await assert.rejects(openServedData(config), { code: "DATA_UNAVAILABLE" });
    const samples = new URL(
      "../../tests/trainer/fixtures/parquet/samples/masked/train.parquet",
      import.meta.url,
    );
    await Deno.copyFile(samples, join(directory, "train.parquet"));
    const labelled = await openServedData({ ...config, tokenBytes: null });
    assert.equal((await labelled.read({ start: 0n, end: 0n })).labels![0], -100);
    const seed = new Uint8Array(32);
    await assert.rejects(
      openServedData({ ...config, shuffle: { kind: "Seeded", seed } }),
      invalid(/shuffle_seed/),
    );
    await Deno.writeFile(join(directory, "tokens.bin"), new Uint8Array(6 * 2 * 3));
    assert.equal((await openServedData(config)).sequences, 2);
    await assert.rejects(openServedData({ ...config, tokenBytes: null }), invalid(/token_size/));
    await assert.rejects(
      openServedData({ ...config, directory: join(directory, "none") }),
      { code: "DATA_UNAVAILABLE" },
    );
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
});
