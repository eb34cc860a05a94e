/**
 * The worked example of docs/protocol/training-math.md section 3.9, compression and application
 * together, and what both must refuse.
 */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import fc from "fast-check";
import * as ort from "onnxruntime-node";
import type { DistroResult, SparseParameter } from "../trainer.ts";
import { applyResults, checkResult } from "./apply.ts";
import { type Compressor, createCompressor } from "./compress.ts";
import { dctBasis } from "./basis.ts";
import { decodeInto, readEntries } from "./decode.ts";
import { encodeIndices } from "./index_encoding.ts";
import { type DistroHyper, distroLayout } from "./layout.ts";
import { encodeFloats, encodeSigns } from "./value_encoding.ts";

type Shapes = { name: string; shape: number[] }[];

async function withCompressor<T>(
  parameters: Shapes,
  hyper: DistroHyper & { oneBit?: boolean },
  use: (compressor: Compressor) => Promise<T>,
): Promise<T> {
  const options = { oneBit: false, threads: 1, ...hyper };
  const compressor = await createCompressor(ort, parameters, options);
  try {
    return await use(compressor);
  } finally {
    await compressor.release();
  }
}

function close(actual: ArrayLike<number>, expected: number[], tolerance = 6e-7): void {
  assert.equal(actual.length, expected.length);
  expected.forEach((value, i) => {
    assert.ok(
      Math.abs(actual[i] - value) <= tolerance,
      `element ${i}: ${actual[i]} is not ${value}`,
    );
  });
}

const floats = (sparse: SparseParameter) => new Float32Array(sparse.values.slice().buffer);
const matrix = (of: (r: number, c: number) => number) =>
  Float32Array.from({ length: 24 }, (_, i) => of(Math.floor(i / 6), i % 6));
const example: Shapes = [{ name: "w", shape: [4, 6] }];
const hyper = { chunk: 4, topk: 2 };
const layout = distroLayout([4, 6], hyper);

Deno.test("the transform of a vector", async () => {
  const ramp = new Map([["v", Float32Array.from({ length: 8 }, (_, i) => i)]]);
  const vector = [{ name: "v", shape: [8] }];
  await withCompressor(vector, { chunk: 64, topk: 8 }, async (compressor) => {
    const [sparse] = (await compressor.compress(ramp)).full;
    const dense = new Float32Array(8);
    sparse.indices.forEach((index, i) => dense[index] = floats(sparse)[i]);
    close(dense, [9.8995, -6.4423, 0, -.67345, 0, -.2009, 0, -.050702], 5e-5);
  });
  await withCompressor(vector, { chunk: 4, topk: 3 }, async (compressor) => {
    const [sparse] = (await compressor.compress(ramp)).full;
    assert.deepEqual([...sparse.indices], [0, 1, 3, 0, 1, 3]);
    close(floats(sparse), [3, -2.230442, -.158513, 11, -2.230442, -.158513]);
  });
});

Deno.test("the worked example: indices, values, mean, signs, one-bit form and hash", async () => {
  const inputs = [
    new Map([["w", matrix((r, c) => Math.sin(1 + 6 * r + c))]]),
    new Map([["w", matrix((r, c) => Math.cos(2 + 6 * r + c))]]),
  ];
  const [first, second] = await withCompressor(
    example,
    hyper,
    async (c) => [await c.compress(inputs[0]), await c.compress(inputs[1])],
  );
  assert.deepEqual(first.full[0].xshape, [1, 2, 4, 3]);
  assert.deepEqual([...first.full[0].indices], [0, 4, 0, 4]);
  close(floats(first.full[0]), [2.283678, .731655, -2.26225, -.72479]);
  assert.deepEqual([...second.full[0].indices], [0, 1, 0, 1]);
  close(floats(second.full[0]), [-1.927109, 1.213928, 1.734899, -1.471194]);

  const dense = new Float32Array(24);
  decodeInto(dense, [first.sent[0], second.sent[0]], layout);
  close(dense.subarray(0, 6), [.818635, .051466, -.715703, -.931072, -.076117, .778839]);
  for (let r = 0; r < 4; r++) {
    const signs = [...dense.subarray(r * 6, r * 6 + 6)].map(Math.sign);
    assert.deepEqual(signs, [1, 1, -1, -1, -1, 1]);
  }

  const oneBit = await withCompressor(
    example,
    { ...hyper, oneBit: true },
    (c) => c.compress(inputs[0]),
  );
  assert.deepEqual([...oneBit.sent[0].indices], [0, 4, 0, 4]);
  assert.deepEqual([...oneBit.sent[0].values], [0x0c]);
  close(floats(oneBit.full[0]), [2.283678, .731655, -2.26225, -.72479]);
  const header = new DataView(new ArrayBuffer(20));
  header.setUint32(0, 7);
  header.setBigUint64(4, 16n);
  header.setBigUint64(12, 19n);
  const hash = createHash("sha256").update(new Uint8Array(header.buffer))
    .update(oneBit.sent[0].indices).update(oneBit.sent[0].values).digest("hex");
  assert.equal(hash, "3a539d4b81a3a661ef81fb5e2b45cb77a1990bde4ad3797016f26087916ea0d4");
});

/** Steps A to G of section 3.2 for one parameter, with an exact copy for the look-ahead. */
class ExampleClient {
  readonly parameter = { name: "w", shape: [4, 6], data: matrix((r, c) => .1 * (r - c)) };
  readonly residual = new Float32Array(24);
  lookAhead = new Float32Array(24);
  #previous: DistroResult[] = [];

  constructor(
    readonly gradient: (t: number, r: number, c: number) => number,
    readonly compressor: Compressor,
  ) {}

  async round(t: number, lr: number, apply: DistroResult[]): Promise<DistroResult> {
    applyResults([this.parameter], apply, lr, hyper);
    const p = this.parameter.data;
    this.lookAhead = p.map((value, i) => value - Math.sign(this.residual[i]) * lr);
    const own = new Float32Array(24);
    if (this.#previous.length > 0) decodeInto(own, this.#previous.map((r) => r[0]), layout);
    const gradient = matrix((r, c) => this.gradient(t, r, c));
    for (let i = 0; i < 24; i++) {
      p[i] *= 1 - lr * .1;
      this.residual[i] = (this.residual[i] - own[i]) * .999 + lr * gradient[i];
    }
    const { full, sent } = await this.compressor.compress(new Map([["w", this.residual]]));
    this.#previous = [full];
    return sent;
  }
}

Deno.test("the two-client pipeline of the worked example", async () => {
  const expected = [
    {
      a: [[0, 4, 0, 4], [.0228368, .0073166, -.0226225, -.0072479]],
      b: [[0, 1, 0, 1], [-.0192711, .0121393, .017349, -.0147119]],
      ahead: [0, -.1, -.2, -.3, -.4, -.5],
      after: [0, -.0999, -.1998, -.2997, -.3996, -.4995],
      residual: [.0084147, .009093, .0014112, -.007568, -.0095892, -.0027942],
    },
    {
      a: [[1, 0, 0, 1], [.0191912, .0122537, -.0148506, -.0140966]],
      b: [[0, 4, 0, 4], [-.0207234, -.0128074, .0218701, .0125596]],
      ahead: [-.01, -.1099, -.2098, -.2897, -.3896, -.4895],
      after: [0, -.0998001, -.1996002, -.2994003, -.3992004, -.4990005],
      residual: [.007537, .0039093, -.0093676, -.0072809, -.0058498, .0069578],
    },
    {
      a: [[1, 3, 1, 3], [.0205298, -.0129608, -.0216658, .0116702]],
      b: [[1, 2, 1, 2], [-.0319075, .013454, .0282573, -.0142003]],
      ahead: [-.02, -.1198, -.1796, -.2794, -.3792, -.519001],
      after: [-.00999, -.1096903, -.1894106, -.2891109, -.3888112, -.5084915],
      residual: [-.0013714, -.0071965, -.015703, -.0008062, .0050086, .0161482],
    },
    {
      a: [[0, 4, 0, 1], [-.0322083, -.006401, .0285237, -.0062252]],
      b: [[1, 0, 1, 3], [-.0147119, .0142295, .0169901, -.0099736]],
      ahead: [.01001, -.08969, -.169411, -.289111, -.408811, -.528491],
      after: [.00001, -.0995906, -.1792312, -.2988118, -.3984124, -.517973],
      residual: [-.0113057, -.011895, -.0063467, .0090196, .0105, .0082036],
    },
  ];
  await withCompressor(example, hyper, async (compressor) => {
    const a = new ExampleClient((t, r, c) => Math.sin(1 + 6 * r + c + t), compressor);
    const b = new ExampleClient((t, r, c) => Math.cos(2 + 6 * r + c + t), compressor);
    const history: DistroResult[][] = [];
    for (const [t, row] of expected.entries()) {
      const apply = history[t - 2] ?? [];
      const results = [await a.round(t, .01, apply), await b.round(t, .01, apply)];
      history.push(results);
      for (const [i, want] of [row.a, row.b].entries()) {
        assert.deepEqual([...results[i][0].indices], want[0], `round ${t}, client ${i}`);
        close(floats(results[i][0]), want[1]);
      }
      close(a.lookAhead.subarray(0, 6), row.ahead);
      close(a.parameter.data.subarray(0, 6), row.after);
      close(a.residual.subarray(0, 6), row.residual);
      assert.deepEqual(a.parameter.data, b.parameter.data);
    }
    close(
      a.parameter.data.subarray(18),
      [.2788318, .1992112, .1195706, .01997, -.0996106, -.2191712],
    );
  });
});

/** Section 3.1's double sum written down literally. */
function slowDecode(results: SparseParameter[], shape: number[], hyper: DistroHyper): number[] {
  const layout = distroLayout(shape, hyper);
  const { h, w, k, cols, rows, totalk } = layout;
  const entries = results.map((result) => readEntries(result, layout));
  const out = new Array<number>(layout.blocks * totalk).fill(0);
  for (let block = 0; block < layout.blocks; block++) {
    const perRow = cols / w;
    const matrixIndex = Math.floor(block / (perRow * (rows / h)));
    const y = Math.floor(block / perRow) % (rows / h);
    for (let position = 0; position < totalk; position++) {
      const written = entries.flatMap(({ indices, values }) =>
        [...indices.subarray(block * k, (block + 1) * k)]
          .flatMap((index, i) => index === position ? [values[block * k + i]] : [])
      );
      if (written.length === 0) continue;
      const mean = written.reduce((sum, value) => sum + value, 0) / written.length;
      const [b, d] = [Math.floor(position / w), position % w];
      for (let j = 0; j < h; j++) {
        for (let l = 0; l < w; l++) {
          out[matrixIndex * rows * cols + (y * h + j) * cols + (block % perRow) * w + l] += mean *
            dctBasis(h)[b * h + j] * dctBasis(w)[d * w + l];
        }
      }
    }
  }
  return out;
}

Deno.test("decode equals the literal double sum for random shapes and results", () => {
  const cases = fc.record({
    shape: fc.array(fc.integer({ min: 1, max: 14 }), { minLength: 1, maxLength: 3 }),
    chunk: fc.integer({ min: 1, max: 8 }),
    topk: fc.integer({ min: 1, max: 9 }),
    peers: fc.integer({ min: 1, max: 4 }),
    seed: fc.infiniteStream(fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true })),
  });
  fc.assert(
    fc.property(cases, ({ shape, chunk, topk, peers, seed }) => {
      const layout = distroLayout(shape, { chunk, topk });
      const random = () => seed.next().value as number;
      const count = layout.blocks * layout.k;
      const results = Array.from({ length: peers }, (): SparseParameter => ({
        xshape: layout.xshape,
        totalk: layout.totalk,
        k: layout.k,
        indices: encodeIndices(
          Int32Array.from({ length: count }, () => Math.floor(random() * layout.totalk)),
          layout.totalk,
        ),
        values: encodeFloats(Float32Array.from({ length: count }, () => random() - .5)),
        oneBit: false,
      }));
      const dense = new Float32Array(layout.blocks * layout.totalk);
      decodeInto(dense, results, layout);
      close(dense, slowDecode(results, shape, { chunk, topk }), 3e-6);
    }),
    { numRuns: 60 },
  );
});

Deno.test("compressing everything and decoding it gives the input back", async () => {
  const parameters = [
    { name: "a", shape: [2, 6, 10] },
    { name: "b", shape: [7, 9] },
    { name: "c", shape: [10] },
    { name: "d", shape: [1, 13] },
    { name: "e", shape: [11, 2] },
  ];
  const all = { chunk: 5, topk: 1000 };
  const residuals = new Map(parameters.map(({ name, shape }, p) => [
    name,
    Float32Array.from({ length: shape.reduce((a, b) => a * b) }, (_, i) => Math.sin(i * i + p)),
  ]));
  const { full } = await withCompressor(parameters, all, (c) => c.compress(residuals));
  parameters.forEach(({ name, shape }, i) => {
    const dense = new Float32Array(residuals.get(name)!.length);
    decodeInto(dense, [full[i]], distroLayout(shape, all));
    close(dense, [...residuals.get(name)!], 1e-6);
  });
});

Deno.test("apply moves by the sign, leaves zeros alone and rounds the rate once", () => {
  const sparse = (value: number): SparseParameter => ({
    xshape: [1, 1],
    totalk: 1,
    k: 1,
    indices: Uint8Array.of(0),
    values: encodeFloats(Float32Array.of(value)),
    oneBit: false,
  });
  const run = (...values: number[]) => {
    const parameter = { name: "p", shape: [1], data: Float32Array.of(1) };
    applyResults([parameter], values.map((value) => [sparse(value)]), .1, hyper);
    return parameter.data[0];
  };
  assert.equal(run(3), Math.fround(1 - Math.fround(.1)));
  assert.equal(run(-1e-30), Math.fround(1 + Math.fround(.1)));
  assert.equal(run(2, -2), 1);
  assert.equal(run(), 1);
});

/** Results that look random but come from integer arithmetic alone. */
function syntheticResults(shapes: number[][], hyper: DistroHyper, peers: number): DistroResult[] {
  let state = 1;
  const next = (bound: number) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * bound);
  };
  return Array.from({ length: peers }, (_, peer) =>
    shapes.map((shape) => {
      const { blocks, k, totalk, xshape } = distroLayout(shape, hyper);
      const count = blocks * k;
      const indices = Int32Array.from({ length: count }, () => next(totalk));
      const values = Float32Array.from({ length: count }, () => (next(2001) - 1000) / 1024);
      const oneBit = peer % 2 === 0;
      return {
        xshape,
        totalk,
        k,
        indices: encodeIndices(indices, totalk),
        values: oneBit ? encodeSigns(values) : encodeFloats(values),
        oneBit,
      };
    }));
}

Deno.test("applying known results gives the same bits on every machine", () => {
  const shapes = [[128, 192], [86, 100], [3, 40, 43], [129], [64]];
  const hyper = { chunk: 64, topk: 6 };
  const parameters = shapes.map((shape, p) => ({
    name: String(p),
    shape,
    data: Float32Array.from(
      { length: shape.reduce((a, b) => a * b) },
      (_, i) => ((i * 7919) % 4001 - 2000) / 8192,
    ),
  }));
  for (let round = 1; round <= 3; round++) {
    applyResults(parameters, syntheticResults(shapes, hyper, 2 + round), .003 / round, hyper);
  }
  const hash = createHash("sha256");
  for (const { data } of parameters) hash.update(new Uint8Array(data.buffer));
  // From a separate program in another language, with exact sums in place of ours.
  assert.equal(
    hash.digest("hex"),
    "13d5bc7c0cc4d6bf367d6c856d36551c8b7d61be91809561bd09f311b2a2c98d",
  );
});

Deno.test("results that do not fit are refused and change nothing", async () => {
  const parameter = { name: "w", shape: [4, 6], data: matrix((r, c) => r + c) };
  const before = parameter.data.slice();
  const residuals = new Map([["w", matrix((r, c) => Math.sin(r * c + 1))]]);
  const [good] = (await withCompressor(example, hyper, (c) => c.compress(residuals))).sent;
  checkResult([parameter], [good], hyper);
  checkResult([parameter], [good], { ...hyper, oneBit: false });
  assert.throws(
    () => checkResult([parameter], [good], { ...hyper, oneBit: true }),
    { code: "DISTRO_RESULT_INVALID" },
  );
  const bad: DistroResult[] = [
    [],
    [good, good],
    [{ ...good, xshape: [2, 1, 4, 3] }],
    [{ ...good, totalk: 13 }],
    [{ ...good, k: 3 }],
    [{ ...good, indices: good.indices.subarray(1) }],
    [{ ...good, indices: Uint8Array.of(0, 4, 12, 4) }],
    [{ ...good, values: good.values.subarray(4) }],
    [{ ...good, values: encodeFloats(Float32Array.of(1, 2, NaN, 3)) }],
  ];
  for (const result of bad) {
    assert.throws(() => checkResult([parameter], result, hyper), { code: "DISTRO_RESULT_INVALID" });
    assert.throws(
      () => applyResults([parameter], [[good], result], .1, hyper),
      { code: "DISTRO_RESULT_INVALID" },
    );
  }
  assert.deepEqual(parameter.data, before);
});

Deno.test("hostile results never do anything but be refused or applied", () => {
  const bytes = fc.uint8Array({ maxLength: 20 });
  const sparse = fc.record({
    xshape: fc.constantFrom<number[][]>([1, 2, 4, 3], [2, 1, 4, 3], [], [1, 2]),
    totalk: fc.constantFrom(12, 0, 2 ** 32),
    k: fc.constantFrom(2, 0, -1, NaN),
    indices: fc.oneof(bytes, fc.uint8Array({ minLength: 4, maxLength: 4, max: 12 })),
    values: fc.oneof(bytes, fc.uint8Array({ minLength: 1, maxLength: 1, max: 15 })),
    oneBit: fc.boolean(),
  });
  fc.assert(
    fc.property(fc.array(sparse, { maxLength: 2 }), (result) => {
      const parameter = { name: "w", shape: [4, 6], data: matrix((r, c) => r + c) };
      try {
        applyResults([parameter], [result], .1, hyper);
      } catch (error) {
        assert.equal((error as { code?: string }).code, "DISTRO_RESULT_INVALID");
      }
      assert.ok(parameter.data.every(Number.isFinite));
    }),
    { numRuns: 500 },
  );
});

Deno.test("residuals that are not finite, missing or of a wrong size are refused", async () => {
  await withCompressor(example, hyper, async (compressor) => {
    for (const bad of [NaN, Infinity, -Infinity]) {
      const data = matrix(() => 1);
      data[17] = bad;
      await assert.rejects(
        compressor.compress(new Map([["w", data]])),
        { code: "DISTRO_NOT_FINITE" },
      );
    }
    for (const map of [new Map(), new Map([["w", new Float32Array(23)]])]) {
      await assert.rejects(compressor.compress(map), { code: "DISTRO_INPUT_INVALID" });
    }
  });
});

Deno.test("what is kept and what is sent share no memory", async () => {
  const residuals = new Map([["w", matrix((r, c) => r - c)]]);
  const { full, sent } = await withCompressor(example, hyper, (c) => c.compress(residuals));
  assert.notEqual(full[0].indices.buffer, sent[0].indices.buffer);
  assert.notEqual(full[0].values.buffer, sent[0].values.buffer);
});
