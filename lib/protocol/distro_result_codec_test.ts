import assert from "node:assert/strict";
import fc from "fast-check";
import { PsycheError } from "../error.ts";
import { toHex } from "./bytes.ts";
import {
  compressedSizes,
  decodeDistroResult,
  type DistroResultBlob,
  encodeDistroResult,
  indexWidth,
  maxDistroResultSize,
} from "./distro_result_codec.ts";
import { seed } from "./property_seed.ts";

const EXAMPLE: DistroResultBlob = {
  step: 7,
  trainerNonce: 3,
  batchId: { start: 16n, end: 19n },
  parameters: [
    {
      xshape: [1, 2, 4, 3],
      totalk: 12,
      k: 2,
      oneBit: true,
      indices: Uint8Array.of(0, 4, 0, 4),
      values: Uint8Array.of(0x0c),
    },
    {
      xshape: [1, 300],
      totalk: 300,
      k: 1,
      oneBit: false,
      indices: Uint8Array.of(0x2b, 0x01),
      values: new Uint8Array(Float32Array.of(-1.5).buffer),
    },
  ],
};

const shapes = ({ parameters }: DistroResultBlob) =>
  parameters.map(({ xshape, totalk, k, oneBit }) => ({ xshape, totalk, k, oneBit }));

const refused = (bytes: Uint8Array, expected = shapes(EXAMPLE)) =>
  assert.throws(() => decodeDistroResult(bytes, expected), { code: "MESSAGE_INVALID" });

Deno.test("a result byte by byte", () => {
  assert.equal(
    toHex(encodeDistroResult(EXAMPLE)),
    "00" + "07" + "03" + "10" + "13" + "02" +
      // Indices [1, 2, 2]: zig-zag dimensions, u8, no gradient, full; then one-bit values, xshape, totalk.
      "03" + "020404" + "00" + "00" + "00" + "04" + "00040004" +
      "03" + "020404" + "0b" + "00" + "01" + "01" + "0c" +
      "04" + "01020403" + "0c" +
      // A vector with indices of two bytes: the last dimension counts bytes.
      "02" + "0204" + "00" + "00" + "00" + "02" + "2b01" +
      "02" + "0202" + "06" + "00" + "00" + "04" + "0000c0bf" +
      "02" + "01ac02" + "ac02",
  );
});

Deno.test("index widths and sizes of sections 3.5 and 3.7", () => {
  assert.deepEqual([1, 256, 257, 65536, 65537].map(indexWidth), [1, 1, 2, 2, 4]);
  const embedding = { xshape: [500, 32, 64, 64], totalk: 4096, k: 2, oneBit: true };
  assert.deepEqual(compressedSizes(embedding), { indices: 64000, values: 4000 });
  assert.deepEqual(compressedSizes({ ...embedding, xshape: [500, 4, 64, 64], k: 8 }), {
    indices: 32000,
    values: 2000,
  });
});

Deno.test("results of any model are read back as they were", () => {
  const parameters = fc.record({
    blocks: fc.array(fc.integer({ min: 1, max: 4 }), { minLength: 1, maxLength: 3 }),
    h: fc.integer({ min: 1, max: 300 }),
    w: fc.integer({ min: 1, max: 300 }),
    k: fc.integer({ min: 1, max: 9 }),
    oneBit: fc.boolean(),
    noise: fc.infiniteStream(fc.nat(0xffffffff)),
  }).map(({ blocks, h, w, k: wanted, oneBit, noise }) => {
    const vector = blocks.length === 1;
    const totalk = vector ? w : h * w;
    const shape = {
      xshape: vector ? [blocks[0], w] : [...blocks, h, w],
      totalk,
      k: Math.min(wanted, totalk),
      oneBit,
    };
    const count = blocks.reduce((a, b) => a * b) * shape.k;
    const next = () => Number(noise.next().value);
    const width = indexWidth(totalk);
    const indices = new Uint8Array(count * width);
    const view = new DataView(indices.buffer);
    for (let i = 0; i < count; i++) {
      const index = next() % totalk;
      if (width === 1) view.setUint8(i, index);
      else if (width === 2) view.setUint16(2 * i, index, true);
      else view.setUint32(4 * i, index, true);
    }
    let values: Uint8Array;
    if (oneBit) {
      values = Uint8Array.from({ length: Math.ceil(count / 8) }, () => next() & 0xff);
      if (count % 8 !== 0) values[values.length - 1] &= (1 << count % 8) - 1;
    } else {
      values = new Uint8Array(Float32Array.from({ length: count }, () => next() - 1e9).buffer);
    }
    return { ...shape, indices, values };
  });
  fc.assert(
    fc.property(fc.array(parameters, { maxLength: 5 }), fc.nat(), (list, step) => {
      // A copy, because the library marks its lists with a symbol of its own.
      const parameters = [...list];
      const blob = { step, trainerNonce: 1, batchId: { start: 5n, end: 9n }, parameters };
      const encoded = encodeDistroResult(blob);
      assert.ok(encoded.length <= maxDistroResultSize(list));
      assert.deepEqual(decodeDistroResult(encoded, shapes(blob)), blob);
    }),
    { seed: seed() },
  );
});

Deno.test("a flipped bit is refused or stays within the expected shape", () => {
  const encoded = encodeDistroResult(EXAMPLE);
  for (let bit = 0; bit < encoded.length * 8; bit++) {
    const damaged = encoded.slice();
    damaged[bit >> 3] ^= 1 << (bit & 7);
    try {
      const decoded = decodeDistroResult(damaged, shapes(EXAMPLE));
      assert.deepEqual(shapes(decoded), shapes(EXAMPLE));
      assert.notDeepEqual(decoded, EXAMPLE);
    } catch (error) {
      assert.ok(error instanceof PsycheError && error.code === "MESSAGE_INVALID", String(error));
    }
  }
});

Deno.test("hostile results are refused", () => {
  const encoded = encodeDistroResult(EXAMPLE);
  for (let length = 0; length < encoded.length; length++) refused(encoded.subarray(0, length));
  refused(Uint8Array.of(...encoded, 0));
  refused(encoded, shapes(EXAMPLE).slice(1));
  refused(encoded, []);
  const [first, second] = shapes(EXAMPLE);
  refused(encoded, [{ ...first, oneBit: false }, second]);
  refused(encoded, [{ ...first, xshape: [2, 1, 4, 3] }, second]);
  refused(encoded, [{ ...first, totalk: 11 }, second]);
  const change = (i: number, part: Partial<DistroResultBlob["parameters"][0]>) =>
    encodeDistroResult({
      ...EXAMPLE,
      parameters: EXAMPLE.parameters.map((p, j) => i === j ? { ...p, ...part } : p),
    });
  // An index beyond the block, padding bits, NaN and an inverted interval.
  refused(change(0, { indices: Uint8Array.of(0, 4, 0, 12) }));
  refused(change(0, { values: Uint8Array.of(0x1c) }));
  refused(change(1, { values: new Uint8Array(Float32Array.of(NaN).buffer) }));
  refused(encodeDistroResult({ ...EXAMPLE, batchId: { start: 2n, end: 1n } }));
});

Deno.test("what does not fit its shape is not sent", () => {
  const [parameter] = EXAMPLE.parameters;
  for (
    const broken of [
      { ...parameter, indices: new Uint8Array(3) },
      { ...parameter, values: new Uint8Array(2) },
      { ...parameter, xshape: [1, 70000], totalk: 70000, k: 1, oneBit: true },
    ]
  ) {
    assert.throws(() => encodeDistroResult({ ...EXAMPLE, parameters: [broken] }), {
      code: "DISTRO_RESULT_INVALID",
    });
  }
});
