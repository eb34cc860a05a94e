import assert from "node:assert/strict";
import { readSample } from "./preprocessed_sample.ts";
import { SampleTable } from "./sample_table.ts";

const inputs = [5, 6, 7, 8];

function read(sample: Record<string, unknown>, maxToken = 9) {
  const table = new SampleTable(1, 4);
  readSample({ inputs, ...sample }, table, 0, maxToken, "row 0");
  return table.batch(0n, 1);
}

Deno.test("columns of any integer type; what says no more than the inputs is left out", () => {
  const tokens = Int32Array.from(inputs);
  const plain = [
    {},
    { labels: null, position_ids: undefined },
    { inputs: BigInt64Array.of(5n, 6n, 7n, 8n) },
    { labels: Uint16Array.from(inputs), position_ids: [0n, 1n, 2n, 3n], sequence_lengths: [4] },
  ];
  for (const sample of plain) assert.deepEqual(read(sample), { tokens });
  assert.deepEqual(read({ labels: [-100, 6, 7, 0], position_ids: [0, 1, 0, 1] }), {
    tokens,
    labels: Int32Array.of(-100, 6, 7, 0),
    positionIds: Int32Array.of(0, 1, 0, 1),
  });
  assert.deepEqual(read({ sequence_lengths: [1n, 3n] }).sequenceLengths, [[1, 3]]);
  // The rest is a text of its own.
  assert.deepEqual(read({ sequence_lengths: [3] }).sequenceLengths, [[3, 1]]);
  assert.deepEqual(read({ sequence_lengths: [] }), { tokens });
});

Deno.test("a sample that would train wrongly is refused by the name of its column", () => {
  const refused: [sample: Record<string, unknown>, code: string, message: RegExp][] = [
    [{ inputs: [5, 6, 7] }, "DATA_COLUMN_INVALID", /inputs has 3 entries, not 4/],
    [{ inputs: null }, "DATA_COLUMN_INVALID", /inputs has 0/],
    [{ inputs: [5, 6, 7, 1.5] }, "DATA_COLUMN_INVALID", /inputs holds 1\.5/],
    [{ inputs: [5, 6, 7, 2n ** 40n] }, "DATA_COLUMN_INVALID", /inputs holds/],
    [{ inputs: [5, 6, 7, 10] }, "TOKEN_OUT_OF_RANGE", /token 10/],
    [{ inputs: [5, 6, 7, -100] }, "TOKEN_OUT_OF_RANGE", /token -100/],
    [{ labels: [5, 6] }, "DATA_COLUMN_INVALID", /labels has 2/],
    [{ labels: [5, 6, 7, 10] }, "TOKEN_OUT_OF_RANGE", /label 10/],
    [{ labels: [5, 6, 7, -1] }, "TOKEN_OUT_OF_RANGE", /label -1/],
    [{ position_ids: [0, 1, 2, -1] }, "DATA_COLUMN_INVALID", /position_ids are negative/],
    [{ position_ids: [0] }, "DATA_COLUMN_INVALID", /position_ids has 1/],
    [{ sequence_lengths: 4 }, "DATA_COLUMN_INVALID", /sequence_lengths is no list/],
    [{ sequence_lengths: [2, 3] }, "DATA_COLUMN_INVALID", /sum of at most 4/],
    [{ sequence_lengths: [4, 0] }, "DATA_COLUMN_INVALID", /not positive/],
    [{ sequence_lengths: [5, -1] }, "DATA_COLUMN_INVALID", /not positive/],
  ];
  for (const [sample, code, message] of refused) {
    assert.throws(() => read(sample), { code, message });
  }
});
