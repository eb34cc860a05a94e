import assert from "node:assert/strict";
import fc from "fast-check";
import { batchFeeds, batchKind, checkBatch, type TrainingBatch } from "./training_batch.ts";
import { LlamaRuntime } from "./llama_runtime.ts";
import { NO_LABEL } from "./data/data_provider.ts";
import { initialParameters } from "./model/init.ts";
import { nanoConfig, parameterShapes } from "./model/llama_config.ts";
import { loadOnnxRuntime } from "./runtime/onnx_runtime.ts";
import { seededRandom } from "./random.ts";

const CONFIG = { ...nanoConfig(24), hiddenSize: 16, intermediateSize: 24, layers: 2 };
const FORMAT = { sequenceLength: 8, vocabSize: CONFIG.vocabSize };
const ort = await loadOnnxRuntime();

/** A runtime of a small model, released at the end. */
async function withRuntime(
  sequenceLength: number,
  body: (runtime: LlamaRuntime) => Promise<void>,
  microBatchSize = 4,
): Promise<void> {
  const values = initialParameters(CONFIG, 3);
  const random = seededRandom(4);
  const parameters = parameterShapes(CONFIG).map(({ name, shape }) => ({
    name,
    shape,
    data: values.get(name)!.map((value) => value + 0.1 * random.normal()),
  }));
  const model = { config: CONFIG, files: { config: "", tokenizer: null }, parameters };
  const options = { sequenceLength, microBatchSize, threads: 1, device: "cpu" as const };
  const runtime = new LlamaRuntime(ort, model, options);
  try {
    await body(runtime);
  } finally {
    await runtime.release();
  }
}

const copyOf = (gradients: ReadonlyMap<string, Float32Array>) =>
  new Map([...gradients].map(([name, data]) => [name, data.slice()]));

function assertClose(
  found: ReadonlyMap<string, Float32Array>,
  expected: ReadonlyMap<string, Float32Array>,
): void {
  // Of all gradients: where those of one parameter cancel out, only rounding is left of them.
  const squares = [...expected.values()].flatMap((data) => [...data].map((value) => value * value));
  const norm = Math.sqrt(squares.reduce((sum, square) => sum + square, 0));
  for (const [name, data] of expected) {
    found.get(name)!.forEach((value, i) => {
      const difference = Math.abs(value - data[i]);
      assert.ok(difference <= 2e-6 * norm, `${name}[${i}]: ${value}, ${data[i]}`);
    });
  }
}

/** Texts of 2 or more tokens that fill a row, as a test of packing wants them. */
const texts = fc.array(fc.array(fc.integer({ min: 0, max: 23 }), { minLength: 2, maxLength: 5 }), {
  minLength: 1,
  maxLength: 4,
});

Deno.test("a row of packed texts has the loss and gradients of its texts one by one", async () => {
  await fc.assert(
    fc.asyncProperty(texts, async (parts) => {
      const tokens = Int32Array.from(parts.flat());
      // The first token of a text is predicted by nothing.
      const labels = Int32Array.from(parts.flatMap(([, ...rest]) => [NO_LABEL, ...rest]));
      const counted = labels.length - parts.length;
      const expected = new Map(
        parameterShapes(CONFIG).map(({ name, shape }) => [
          name,
          new Float32Array(shape.reduce((a, b) => a * b, 1)),
        ]),
      );
      let loss = 0;
      for (const part of parts) {
        await withRuntime(part.length, async (runtime) => {
          const alone = await runtime.gradients(
            { tokens: Int32Array.from(part), batch: 1 },
            () => false,
          );
          const share = (part.length - 1) / counted;
          loss += share * alone.loss;
          for (const [name, data] of alone.gradients) {
            const sum = expected.get(name)!;
            data.forEach((value, i) => sum[i] += share * value);
          }
        });
      }
      await withRuntime(tokens.length, async (runtime) => {
        const sequenceLengths = [parts.map((part) => part.length)];
        const packed = await runtime.gradients(
          { tokens, batch: 1, labels, sequenceLengths },
          () => false,
        );
        assert.ok(Math.abs(packed.loss - loss) < 1e-5, `${packed.loss}, ${loss}`);
        assertClose(packed.gradients, expected);
      });
    }),
    { numRuns: 4 },
  );
});

Deno.test("given what is the default anyway, a batch trains like a plain one", async () => {
  await withRuntime(8, async (runtime) => {
    const tokens = Int32Array.from({ length: 24 }, (_, i) => i * i % 24);
    const plain = await runtime.gradients({ tokens, batch: 3 }, () => false);
    const expected = copyOf(plain.gradients);
    for (
      const more of [
        { labels: tokens },
        { positionIds: tokens.map((_, i) => i % 8) },
        { sequenceLengths: [[8], [], [8, 0]] },
        // Only distances of positions count.
        { positionIds: tokens.map((_, i) => 1000 + i % 8) },
      ]
    ) {
      const found = await runtime.gradients({ tokens, batch: 3, ...more }, () => false);
      assert.ok(Math.abs(found.loss - plain.loss) < 1e-5, JSON.stringify(more));
      if (!more.positionIds) assertClose(found.gradients, expected);
    }
  });
});

Deno.test("rows without any label add nothing: no loss, no gradient, no NaN", async () => {
  const tokens = Int32Array.from({ length: 16 }, (_, i) => i);
  const none = new Int32Array(16).fill(NO_LABEL);
  await withRuntime(8, async (runtime) => {
    const { loss, gradients } = await runtime.gradients(
      { tokens, batch: 2, labels: none },
      () => false,
    );
    assert.equal(loss, 0);
    for (const [name, data] of gradients) assert.ok(data.every((value) => value === 0), name);

    // Beside another row: the mean is over what counts.
    const labels = Int32Array.from(tokens, (token, i) => i < 8 ? NO_LABEL : token);
    const both = await runtime.gradients({ tokens, batch: 2, labels }, () => false);
    const found = copyOf(both.gradients);
    const alone = await runtime.gradients({ tokens: tokens.slice(8), batch: 1 }, () => false);
    assert.ok(Math.abs(both.loss - alone.loss) < 1e-6);
    assertClose(found, alone.gradients);
  });
});

Deno.test("pieces weigh alike, however many of their labels count", async () => {
  const tokens = Int32Array.from({ length: 16 }, (_, i) => i);
  const labels = Int32Array.from(tokens, (token, i) => i < 14 ? NO_LABEL : token);
  await withRuntime(8, async (runtime) => {
    const both = await runtime.gradients({ tokens, batch: 2, labels }, () => false);
    const { loss } = both;
    const found = copyOf(both.gradients);
    const alone = await runtime.gradients(
      { tokens: tokens.slice(8), batch: 1, labels: labels.slice(8) },
      () => false,
    );
    assert.ok(Math.abs(loss - alone.loss / 2) < 1e-6);
    for (const data of alone.gradients.values()) data.forEach((v, i) => data[i] = v / 2);
    assertClose(found, alone.gradients);
  }, 1);
});

Deno.test("what the rows of a piece are fed is theirs, and nothing of the batch is lost", () => {
  const row = fc.array(fc.integer({ min: 0, max: 4 }), { maxLength: 6 })
    .filter((lengths) => lengths.reduce((a, b) => a + b, 0) <= 8);
  fc.assert(
    fc.property(fc.array(row, { minLength: 1, maxLength: 5 }), fc.nat(), (rows, cut) => {
      const batch = rows.length;
      const tokens = Int32Array.from({ length: 8 * batch }, (_, i) => i % 24);
      const whole: TrainingBatch = { tokens, batch, labels: tokens, sequenceLengths: rows };
      checkBatch(whole, FORMAT);
      assert.deepEqual(batchKind(whole), { labels: true, positions: true, texts: true });
      const all = batchFeeds(whole, { start: 0, rows: batch }, 8);
      const at = cut % batch;
      const parts = [{ start: 0, rows: at }, { start: at, rows: batch - at }]
        .map((piece) => batchFeeds(whole, piece, 8));
      for (const [name, data] of all) {
        assert.deepEqual(parts.flatMap((part) => [...part.get(name)!]), [...data], name);
      }
      // Positions begin again exactly where the text changes.
      const [positions, texts] = ["positions", "texts"].map((name) => all.get(name)!);
      positions.forEach((position, i) => {
        const continues = i % 8 > 0 && texts[i] === texts[i - 1];
        assert.equal(position, continues ? positions[i - 1] + 1 : 0);
      });
    }),
  );
});

Deno.test("data that no graph can compute is refused with its place", () => {
  const tokens = new Int32Array(16);
  const cases: [Partial<TrainingBatch>, RegExp][] = [
    [{ batch: 3 }, /16 tokens are no batch of 3 rows of 8/],
    [{ tokens: tokens.with(9, 24) }, /Token 24 at position 9/],
    [{ labels: new Int32Array(8) }, /8 labels/],
    [{ labels: tokens.with(5, -1) }, /Label -1 at position 5/],
    [{ labels: tokens.with(5, 24) }, /Label 24 at position 5/],
    [{ positionIds: new Int32Array(17) }, /17 positionIds/],
    [{ positionIds: tokens.with(0, -1) }, /Position id -1 at position 0/],
    [{ positionIds: tokens.with(0, 2 ** 24) }, /Position id 16777216/],
    [{ sequenceLengths: [[8]] }, /1 rows for a batch of 2/],
    [{ sequenceLengths: [[8], [4, 5]] }, /row 1 \(9 tokens in all\)/],
    [{ sequenceLengths: [[9, -1], [8]] }, /row 0 \(with -1\)/],
    [{ sequenceLengths: [[8], [0.5]] }, /row 1 \(with 0.5\)/],
  ];
  for (const [wrong, message] of cases) {
    assert.throws(
      () => checkBatch({ tokens, batch: 2, ...wrong }, FORMAT),
      { code: "TOKENS_INVALID", message },
    );
  }
});
