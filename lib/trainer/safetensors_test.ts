import assert from "node:assert/strict";
import fc from "fast-check";
import { readSafetensors, writeSafetensors } from "./safetensors.ts";

async function inDirectory(run: (directory: string) => Promise<void>): Promise<void> {
  const directory = await Deno.makeTempDir();
  try {
    await run(directory);
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
}

function rawFile(header: unknown, data: Uint8Array, claimed?: bigint): Uint8Array {
  const json = new TextEncoder().encode(
    typeof header === "string" ? header : JSON.stringify(header),
  );
  const bytes = new Uint8Array(8 + json.length + data.length);
  new DataView(bytes.buffer).setBigUint64(0, claimed ?? BigInt(json.length), true);
  bytes.set(json, 8);
  bytes.set(data, 8 + json.length);
  return bytes;
}

Deno.test("tensors survive writing and reading, with sorted names and aligned data", () =>
  inDirectory(async (directory) => {
    const path = `${directory}/model.safetensors`;
    const tensors = new Map([
      ["b", { shape: [2, 3], data: Float32Array.of(1, -0, 3.5, 1e-40, 5, 6) }],
      ["a.weight", { shape: [1], data: Float32Array.of(7) }],
      ["empty", { shape: [0, 4], data: new Float32Array() }],
      ["scalar", { shape: [], data: Float32Array.of(9) }],
    ]);
    await writeSafetensors(path, tensors, { metadata: { made_by: "test" } });
    const read = await readSafetensors(path);
    assert.equal(read.size, 4);
    for (const [name, { shape, data }] of tensors) {
      assert.deepEqual(read.get(name), { dtype: "F32", shape, data });
    }
    const bytes = await Deno.readFile(path);
    const length = Number(new DataView(bytes.buffer).getBigUint64(0, true));
    assert.equal(length % 8, 0);
    const header = JSON.parse(new TextDecoder().decode(bytes.subarray(8, 8 + length)));
    assert.deepEqual(Object.keys(header), ["__metadata__", "a.weight", "b", "empty", "scalar"]);
    assert.deepEqual(header.__metadata__, { format: "pt", made_by: "test" });
    assert.deepEqual([...Deno.readDirSync(directory)].map((entry) => entry.name), [
      "model.safetensors",
    ]);
  }));

Deno.test("half and bfloat16 tensors are widened exactly", () =>
  inDirectory(async (directory) => {
    const path = `${directory}/half.safetensors`;
    const data = new Uint8Array(Uint16Array.of(0x3f80, 0xc2f7, 0x3c00, 0xfbff, 0x0001).buffer);
    const header = {
      bf: { dtype: "BF16", shape: [2], data_offsets: [0, 4] },
      fp: { dtype: "F16", shape: [3], data_offsets: [4, 10] },
    };
    await Deno.writeFile(path, rawFile(header, data));
    const read = await readSafetensors(path);
    assert.deepEqual(read.get("bf")?.data, Float32Array.of(1, -123.5));
    assert.deepEqual(read.get("fp")?.data, Float32Array.of(1, -65504, 2 ** -24));
  }));

Deno.test("bfloat16 is written rounded to the nearest, ties to even", () =>
  inDirectory(async (directory) => {
    const path = `${directory}/model.safetensors`;
    const halfway = 1 + 2 ** -8;
    const data = Float32Array.of(1, -123.5, halfway, 1 + 3 * 2 ** -8, 1 + 2 ** -9, 3.4e38, NaN, -0);
    await writeSafetensors(path, new Map([["a", { shape: [8], data }]]), { dtype: "BF16" });
    const read = (await readSafetensors(path)).get("a")!;
    assert.equal(read.dtype, "BF16");
    const expected = [1, -123.5, 1, 1 + 2 ** -6, 1, Infinity, NaN, -0];
    assert.deepEqual([...read.data], expected);
  }));

Deno.test("hostile files are refused before anything large is allocated", () =>
  inDirectory(async (directory) => {
    const tensor = (start: number, end: number, shape: unknown = [(end - start) / 4]) => ({
      dtype: "F32",
      shape,
      data_offsets: [start, end],
    });
    const eight = new Uint8Array(8);
    const files: Record<string, Uint8Array> = {
      empty: new Uint8Array(),
      short: Uint8Array.of(1, 0, 0),
      "huge header": rawFile({}, eight, 2n ** 63n),
      "header past the end": rawFile({}, eight, 100n),
      "not JSON": rawFile("{", eight),
      "not UTF-8": rawFile({}, new Uint8Array(4).fill(0xff), 6n),
      list: rawFile([], eight),
      "number entry": rawFile({ a: 5 }, eight),
      "null entry": rawFile({ a: null }, eight),
      "wrong size": rawFile({ a: tensor(0, 8, [3]) }, eight),
      "overflowing shape": rawFile({ a: tensor(0, 8, [2 ** 31, 2 ** 31, 2 ** 31]) }, eight),
      "negative shape": rawFile({ a: tensor(0, 8, [-1, -2]) }, eight),
      "past the data": rawFile({ a: tensor(0, 12) }, eight),
      hole: rawFile({ a: tensor(4, 8) }, eight),
      overlap: rawFile({ a: tensor(0, 8), b: tensor(4, 8) }, eight),
      "unread tail": rawFile({ a: tensor(0, 4) }, eight),
      "other type": rawFile({ a: { ...tensor(0, 8), dtype: "I64", shape: [1] } }, eight),
      "inherited type": rawFile({ a: { ...tensor(0, 8), dtype: "toString" } }, eight),
    };
    for (const [name, bytes] of Object.entries(files)) {
      const path = `${directory}/${name}`;
      await Deno.writeFile(path, bytes);
      await assert.rejects(readSafetensors(path), { code: "SAFETENSORS_INVALID" }, name);
    }
    await assert.rejects(readSafetensors(`${directory}/none`), { code: "SAFETENSORS_INVALID" });
  }));

Deno.test("arbitrary bytes never do anything but fail cleanly", () =>
  inDirectory(async (directory) => {
    await fc.assert(
      fc.asyncProperty(fc.json(), fc.uint8Array({ maxLength: 16 }), async (json, data) => {
        await Deno.writeFile(`${directory}/f`, rawFile(json, data));
        await readSafetensors(`${directory}/f`).then(
          (tensors) => assert.equal(tensors.size, 0),
          (error) => assert.equal(error.code, "SAFETENSORS_INVALID"),
        );
      }),
      { numRuns: 100 },
    );
  }));

Deno.test("a failed write leaves the old file and nothing else", () =>
  inDirectory(async (directory) => {
    const path = `${directory}/m`;
    await Deno.writeTextFile(path, "old");
    const tensors = new Map([["a", { shape: [2], data: new Float32Array(3) }]]);
    await assert.rejects(writeSafetensors(path, tensors), { code: "SAFETENSORS_INVALID" });
    await assert.rejects(writeSafetensors(`${path}/m`, new Map()), { code: "OUTPUT_UNWRITABLE" });
    assert.equal(await Deno.readTextFile(path), "old");
    assert.equal([...Deno.readDirSync(directory)].length, 1);
  }));
