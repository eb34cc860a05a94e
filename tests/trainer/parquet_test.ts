/** Preprocessed training data from parquet files (fixtures/parquet_samples.py made them). */
import assert from "node:assert/strict";
import { join } from "node:path";
import { preprocessedProvider } from "../../lib/trainer/data/preprocessed_provider.ts";
import { createProvider } from "../../lib/trainer/data/create_provider.ts";

const SAMPLES = join(import.meta.dirname!, "fixtures", "parquet", "samples");
const FORMAT = { sequenceLength: 6 };
const row = (n: number) => Array.from({ length: 6 }, (_, i) => (n * 10 + i) % 50);
/** What plain data gives: tokens and nothing else. */
const plain = (tokens: number[]) => ({ tokens: Int32Array.from(tokens) });

Deno.test("all train files are read in the order of their names, and begin again", async () => {
  const data = await createProvider(
    { kind: "Preprocessed", path: join(SAMPLES, "plain") },
    6,
    { fetch },
  );
  assert.deepEqual(await data.read({ start: 0n, end: 4n }), plain([0, 1, 2, 3, 4].flatMap(row)));
  assert.deepEqual(await data.read({ start: 9n, end: 11n }), plain([4, 0, 1].flatMap(row)));
});

Deno.test("directories named after splits are found", async () => {
  const data = await preprocessedProvider(join(SAMPLES, "converted"), FORMAT);
  assert.deepEqual(await data.read({ start: 0n, end: 0n }), plain(row(1)));
});

Deno.test("labels that differ from the inputs, and packed texts, come with the tokens", async () => {
  const masked = await preprocessedProvider(join(SAMPLES, "masked"), FORMAT);
  const [tokens, labels] = [row(0), [-100, -100, -100, ...row(0).slice(3)]];
  assert.deepEqual(await masked.read({ start: 4n, end: 5n }), {
    tokens: Int32Array.from([...tokens, ...tokens]),
    labels: Int32Array.from([...labels, ...labels]),
  });
  const packed = await preprocessedProvider(join(SAMPLES, "packed"), FORMAT);
  assert.deepEqual(await packed.read({ start: 0n, end: 1n }), {
    tokens: Int32Array.from([...tokens, ...tokens]),
    sequenceLengths: [[2, 4], [2, 4]],
  });
});

Deno.test("all columns together, and rows of one text beside packed ones", async () => {
  const path = join(import.meta.dirname!, "fixtures", "parquet", "instructions");
  const data = await preprocessedProvider(path, { sequenceLength: 32 });
  const samples = await data.read({ start: 2n, end: 3n });
  const answers = (start: number, length: number) =>
    Array.from({ length }, (_, i) => (start + 3 * i) % 60);
  const masked = (start: number, length: number) =>
    answers(start, length).map((token, i) => i < Math.floor(length / 3) ? -100 : token);
  const positions = (length: number) => Array.from({ length }, (_, i) => i);
  assert.deepEqual(samples, {
    tokens: Int32Array.from([...answers(10, 32), ...answers(15, 20), ...answers(16, 12)]),
    labels: Int32Array.from([...masked(10, 32), ...masked(15, 20), ...masked(16, 12)]),
    positionIds: Int32Array.from([32, 20, 12].flatMap(positions)),
    sequenceLengths: [[32], [20, 12]],
  });
});

Deno.test("data that would be trained on wrongly is refused", async () => {
  const cases: [name: string, format: object, code: string][] = [
    ["nameless", {}, "DATA_COLUMN_INVALID"],
    ["empty", {}, "DATA_UNAVAILABLE"],
    ["plain", { sequenceLength: 5 }, "DATA_COLUMN_INVALID"],
    ["plain", { maxToken: 10 }, "TOKEN_OUT_OF_RANGE"],
    ["missing", {}, "DATA_UNAVAILABLE"],
  ];
  for (const [name, format, code] of cases) {
    await assert.rejects(
      preprocessedProvider(join(SAMPLES, name), { ...FORMAT, ...format }),
      { code },
      name,
    );
  }
});

Deno.test("damaged parquet is refused, whatever is damaged", async () => {
  const good = await Deno.readFile(join(SAMPLES, "plain", "train-00001-of-00002.parquet"));
  const directory = await Deno.makeTempDir();
  try {
    let refused = 0;
    for (const cut of [0, 3, 20, good.length >> 1, good.length - 1]) {
      await Deno.writeFile(join(directory, "train.parquet"), good.subarray(0, cut));
      await assert.rejects(preprocessedProvider(directory, FORMAT), { code: "DATA_UNAVAILABLE" });
    }
    for (let at = 0; at < good.length; at += 37) {
      const bad = good.slice();
      bad[at] ^= 0x5a;
      await Deno.writeFile(join(directory, "train.parquet"), bad);
      await preprocessedProvider(directory, FORMAT).catch((error) => {
        assert.match(error.code ?? "", /^(DATA_|TOKEN_)/, `byte ${at}: ${error}`);
        refused++;
      });
    }
    assert.ok(refused > 0);
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
});
