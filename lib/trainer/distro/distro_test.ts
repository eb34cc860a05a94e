/**
 * The worked example of docs/protocol/training-math.md section 3.9, compression and application
 * together, and what both must refuse.
 */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import fc from "fast-check";
import type { DistroResult, SparseParameter } from "../trainer.ts";
import { setTimeout as delay } from "node:timers/promises";
import { isDeepStrictEqual } from "node:util";
import { KernelThreads, soleThread } from "../kernels/kernel_threads.ts";
import { ModelMemory } from "../kernels/model_memory.ts";
import { checkResult, ResultApplier } from "./apply.ts";
import { dctBasis } from "./basis.ts";
import { decodeBlocks, decodeInto } from "./decode_reference.ts";
import { byParameter, type Entries, readEntries, writeEntries } from "./entries.ts";
import { encodeIndices } from "./index_encoding.ts";
import { type DistroHyper, type DistroLayout, distroLayout } from "./layout.ts";
import { type ResidualParameter, Residuals } from "./residuals.ts";
import { encodeFloats, encodeSigns } from "./value_encoding.ts";

/** A parameter alone, all zeros but what is given. */
function parameter(
  layout: DistroLayout,
  given: Partial<ResidualParameter> = {},
): ResidualParameter {
  const zeros = () => new Float32Array(layout.blocks * layout.totalk);
  return { name: "w", layout, weights: zeros(), residual: zeros(), ahead: zeros(), ...given };
}

/** What is kept of a residual: that of a step that adds it to nothing. */
function compress(layout: DistroLayout, residual: Float32Array): Entries {
  const residuals = new Residuals([parameter(layout)]);
  const { indices, values } = residuals.step({
    gradients: [residual],
    previous: [],
    decay: 1,
    rate: 1,
  });
  return { indices: indices.slice(), values: values.slice() };
}

/** One parameter's residual, as it is sent. */
function send(
  residual: Float32Array,
  shape: number[],
  { oneBit = false, ...hyper }: DistroHyper & { oneBit?: boolean },
): SparseParameter {
  const layout = distroLayout(shape, hyper);
  return writeEntries(compress(layout, residual), layout, oneBit);
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
const example = [4, 6];
const hyper = { chunk: 4, topk: 2 };
const layout = distroLayout([4, 6], hyper);

Deno.test("the transform of a vector", () => {
  const ramp = Float32Array.from({ length: 8 }, (_, i) => i);
  const whole = send(ramp, [8], { chunk: 64, topk: 8 });
  const dense = new Float32Array(8);
  whole.indices.forEach((index, i) => dense[index] = floats(whole)[i]);
  close(dense, [9.8995, -6.4423, 0, -.67345, 0, -.2009, 0, -.050702], 5e-5);
  const halves = send(ramp, [8], { chunk: 4, topk: 3 });
  assert.deepEqual([...halves.indices], [0, 1, 3, 0, 1, 3]);
  close(floats(halves), [3, -2.230442, -.158513, 11, -2.230442, -.158513]);
});

Deno.test("the worked example: indices, values, mean, signs, one-bit form and hash", () => {
  const input = matrix((r, c) => Math.sin(1 + 6 * r + c));
  const first = send(input, example, hyper);
  const second = send(matrix((r, c) => Math.cos(2 + 6 * r + c)), example, hyper);
  assert.deepEqual(first.xshape, [1, 2, 4, 3]);
  assert.deepEqual([...first.indices], [0, 4, 0, 4]);
  close(floats(first), [2.283678, .731655, -2.26225, -.72479]);
  assert.deepEqual([...second.indices], [0, 1, 0, 1]);
  close(floats(second), [-1.927109, 1.213928, 1.734899, -1.471194]);

  const dense = new Float32Array(24);
  decodeInto(dense, [first, second], layout);
  close(dense.subarray(0, 6), [.818635, .051466, -.715703, -.931072, -.076117, .778839]);
  for (let r = 0; r < 4; r++) {
    const signs = [...dense.subarray(r * 6, r * 6 + 6)].map(Math.sign);
    assert.deepEqual(signs, [1, 1, -1, -1, -1, 1]);
  }

  const oneBit = send(input, example, { ...hyper, oneBit: true });
  assert.deepEqual([...oneBit.indices], [0, 4, 0, 4]);
  assert.deepEqual([...oneBit.values], [0x0c]);
  const header = new DataView(new ArrayBuffer(20));
  header.setUint32(0, 7);
  header.setBigUint64(4, 16n);
  header.setBigUint64(12, 19n);
  const hash = createHash("sha256").update(new Uint8Array(header.buffer))
    .update(oneBit.indices).update(oneBit.values).digest("hex");
  assert.equal(hash, "3a539d4b81a3a661ef81fb5e2b45cb77a1990bde4ad3797016f26087916ea0d4");
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

/** The largest entries of each block by section 3.1's double sum. */
function slowCompress(data: Float32Array, shape: number[], hyper: DistroHyper): Entries {
  const { h, w, k, cols, blocks, totalk } = distroLayout(shape, hyper);
  const kept = { indices: new Int32Array(blocks * k), values: new Float32Array(blocks * k) };
  for (let block = 0; block < blocks; block++) {
    const perBand = cols / w;
    const begin = Math.floor(block / perBand) * h * cols + (block % perBand) * w;
    const all = Array.from({ length: totalk }, (_, index) => {
      const [b, d] = [Math.floor(index / w), index % w];
      let value = 0;
      for (let j = 0; j < h; j++) {
        for (let l = 0; l < w; l++) {
          value += data[begin + j * cols + l] * dctBasis(h)[b * h + j] * dctBasis(w)[d * w + l];
        }
      }
      return { index, value };
    });
    all.sort((a, b) => Math.abs(b.value) - Math.abs(a.value) || a.index - b.index);
    all.slice(0, k).forEach(({ index, value }, i) => {
      kept.indices[block * k + i] = index;
      kept.values[block * k + i] = value;
    });
  }
  return kept;
}

const randomArray = (length: number) =>
  fc.infiniteStream(
    fc.double({ min: -1, max: 1, noNaN: true }),
  ).map((values) => Float32Array.from({ length }, () => values.next().value as number));
const shapes = fc.array(fc.integer({ min: 1, max: 26 }), { minLength: 1, maxLength: 3 });

Deno.test("blocks of 64 by 64, which have a transform of their own", () => {
  const hyper = { chunk: 64, topk: 200 };
  const shape = [64, 128];
  const residual = Float32Array.from({ length: 64 * 128 }, (_, i) => Math.sin(i * i));
  const got = compress(distroLayout(shape, hyper), residual);
  const wanted = slowCompress(residual, shape, hyper);
  close(got.values.map(Math.abs), [...wanted.values.map(Math.abs)], 4e-6);
  const kept = (entries: Entries) => [...entries.indices.subarray(0, 50)];
  assert.deepEqual(kept(got), kept(wanted));

  const all = { chunk: 64, topk: 4096 };
  const dense = new Float32Array(64 * 128);
  decodeInto(dense, [send(residual, shape, all)], distroLayout(shape, all));
  close(dense, [...residual], 4e-6);
  const zero = compress(distroLayout([64, 64], { chunk: 64, topk: 70 }), new Float32Array(4096));
  assert.deepEqual([...zero.indices], Array.from({ length: 70 }, (_, index) => index));
});

Deno.test("compression equals the literal double sum for random shapes", () => {
  fc.assert(
    fc.property(
      shapes.chain((shape) =>
        fc.tuple(fc.constant(shape), randomArray(shape.reduce((a, b) => a * b)))
      ),
      fc.integer({ min: 1, max: 17 }),
      fc.integer({ min: 1, max: 9 }),
      ([shape, residual], chunk, topk) => {
        const hyper = { chunk, topk };
        const layout = distroLayout(shape, hyper);
        const got = compress(layout, residual);
        const wanted = slowCompress(residual, shape, hyper);
        // Entries of nearly the same magnitude may change places, so magnitudes are compared.
        close(got.values.map(Math.abs), [...wanted.values.map(Math.abs)], 4e-6);
        for (let block = 0; block < layout.blocks; block++) {
          const kept = got.indices.subarray(block * layout.k, (block + 1) * layout.k);
          assert.equal(new Set(kept).size, layout.k);
        }
      },
    ),
    { numRuns: 60 },
  );
});

Deno.test("equal magnitudes: the lower index first, and zeros when there is nothing else", () => {
  const layout = distroLayout([6, 6], { chunk: 6, topk: 5 });
  const zero = compress(layout, new Float32Array(36));
  assert.deepEqual([...zero.indices], [0, 1, 2, 3, 4]);
  assert.deepEqual([...zero.values], [0, 0, 0, 0, 0]);
  const pixels = distroLayout([40], { chunk: 1, topk: 1 });
  const signs = Float32Array.from({ length: 40 }, (_, i) => i % 2 === 0 ? 3 : -3);
  assert.deepEqual(compress(pixels, signs).values, signs);
});

/** Random results of several peers for one layout. */
function randomResults(layout: DistroLayout, peers: number, seed: Iterator<number>): Entries[] {
  const count = layout.blocks * layout.k;
  return Array.from({ length: peers }, (_, peer) => ({
    indices: Int32Array.from(
      { length: count },
      () => Math.floor(Math.abs(seed.next().value) * layout.totalk) % layout.totalk,
    ),
    // Sign bits cancel often, which is where the order of sums shows.
    values: Float32Array.from(
      { length: count },
      () => peer % 2 === 0 ? Math.sign(seed.next().value) || 1 : seed.next().value,
    ),
  }));
}

Deno.test("kernels decode with the same bits as the reference", () => {
  const cases = fc.record({
    shape: fc.array(fc.integer({ min: 1, max: 90 }), { minLength: 1, maxLength: 2 }),
    chunk: fc.integer({ min: 1, max: 70 }),
    topk: fc.integer({ min: 1, max: 40 }),
    peers: fc.integer({ min: 1, max: 5 }),
    seed: fc.infiniteStream(fc.double({ min: -1, max: 1, noNaN: true })),
  });
  fc.assert(
    fc.property(cases, ({ shape, chunk, topk, peers, seed }) => {
      const layout = distroLayout(shape, { chunk, topk });
      const random = () => seed.next().value as number;
      const results = randomResults(layout, peers, { next: () => seed.next() } as Iterator<number>);
      const length = layout.blocks * layout.totalk;
      const sparse = results.map((entries) => writeEntries(entries, layout, false));
      const weights = Float32Array.from({ length }, random);
      const residual = Float32Array.from({ length }, random);
      const gradient = Float32Array.from({ length }, random);
      const lr = .003;

      const dense = new Float32Array(length);
      decodeInto(dense, sparse, layout);
      const signs = new Float32Array(length);
      decodeBlocks(results, layout, (block, offset) => {
        for (let j = 0; j < layout.h; j++) {
          for (let l = 0; l < layout.w; l++) {
            signs[offset + j * layout.cols + l] = Math.sign(block[j * layout.w + l]);
          }
        }
      });
      const moved = weights.map((value, i) => value - Math.fround(lr) * signs[i]);
      const own = [{ name: "w", shape, data: weights }];
      new ResultApplier(own, { chunk, topk }).apply(sparse.map((s) => [s]), lr);
      assert.deepEqual(weights, moved);

      const { fround } = Math;
      const taken = new Float32Array(length);
      decodeBlocks(results, layout, (block, offset) => {
        for (let j = 0; j < layout.h; j++) {
          const row = block.subarray(j * layout.w, (j + 1) * layout.w);
          taken.set(row, offset + j * layout.cols);
        }
      }, .9);
      const decayed = (data: Float32Array) =>
        data.map((value, i) => fround(value * fround(.9)) + fround(fround(.2) * gradient[i]));
      const stepped = decayed(residual).map((value, i) => value - taken[i]);
      const data = residual.slice();
      const residuals = new Residuals([parameter(layout, { residual: data })]);
      const step = { gradients: [gradient], decay: .9, rate: .2 };
      // What was sent before came from here: it gets the results under test.
      const sent = results.map(() => residuals.step({ ...step, previous: [] }));
      sent.forEach(({ indices, values }, i) => {
        indices.set(results[i].indices);
        values.set(results[i].values);
      });
      data.set(residual);
      const kept = residuals.step({ ...step, previous: sent });
      assert.deepEqual(data, stepped);
      const again = compress(layout, data);
      assert.deepEqual(kept.indices, again.indices);
      // Added to nothing, -0 becomes 0.
      assert.deepEqual(kept.values.map((x) => x + 0), again.values.map((x) => x + 0));

      const without = decayed(data);
      residuals.step({ ...step, previous: [] });
      assert.deepEqual(data, without);
    }),
    { numRuns: 60 },
  );
});

Deno.test("more entries of a block than go over at once", () => {
  const shape = [64, 64];
  const layout = distroLayout(shape, { chunk: 64, topk: 4096 });
  const numbers = (function* () {
    for (let i = 1;; i++) yield Math.sin(i * i);
  })();
  const results = randomResults(layout, 3, numbers);
  const data = new Float32Array(4096);
  const dense = new Float32Array(4096);
  const sparse = results.map((entries) => writeEntries(entries, layout, false));
  decodeInto(dense, sparse, layout);
  new ResultApplier([{ name: "w", shape, data }], { chunk: 64, topk: 4096 }).apply(
    sparse.map((s) => [s]),
    1,
  );
  assert.deepEqual(data, dense.map((value) => 0 - Math.sign(value)));
});

Deno.test("compressing everything and decoding it gives the input back", () => {
  const all = { chunk: 5, topk: 1000 };
  for (const shape of [[2, 6, 10], [7, 9], [10], [1, 13], [11, 2]]) {
    const length = shape.reduce((a, b) => a * b);
    const residual = Float32Array.from({ length }, (_, i) => Math.sin(i * i + shape.length));
    const dense = new Float32Array(length);
    decodeInto(dense, [send(residual, shape, all)], distroLayout(shape, all));
    close(dense, [...residual], 1e-6);
  }
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
    new ResultApplier([parameter], hyper).apply(values.map((value) => [sparse(value)]), .1);
    return parameter.data[0];
  };
  assert.equal(run(3), Math.fround(1 - Math.fround(.1)));
  assert.equal(run(-1e-30), Math.fround(1 + Math.fround(.1)));
  assert.equal(run(2, -2), 1);
  assert.equal(run(), 1);
});

/** One result for one square block. */
function square(edge: number, entries: Array<[row: number, column: number, value: number]>) {
  const layout = distroLayout([edge, edge], { chunk: edge, topk: entries.length });
  const sparse = writeEntries(
    {
      indices: Int32Array.from(entries, ([row, column]) => row * edge + column),
      values: Float32Array.from(entries, ([, , value]) => value),
    },
    layout,
    false,
  );
  const apply = (data: Float32Array) => {
    const parameter = { name: "w", shape: [edge, edge], data };
    new ResultApplier([parameter], { chunk: edge, topk: entries.length }).apply([[sparse]], 1);
    return data;
  };
  return { layout, sparse, apply };
}

Deno.test("what cancels by symmetry is exactly 0 and leaves the weights alone", () => {
  for (const edge of [4, 5, 43, 50, 64]) {
    const basis = dctBasis(edge);
    for (const [a, b] of [[0, 1], [1, 2], [0, 2], [1, 3]]) {
      const moved = square(edge, [[a, b, 1], [b, a, -1]]).apply(new Float32Array(edge ** 2));
      moved.forEach((weight, at) => {
        const [i, j] = [Math.floor(at / edge), at % edge];
        // Products of two fp32 numbers are exact here.
        const exact = basis[a * edge + i] * basis[b * edge + j] -
          basis[b * edge + i] * basis[a * edge + j];
        if (exact === 0 || Math.abs(exact) > 1e-6) assert.equal(weight, 0 - Math.sign(exact));
      });
      for (let i = 0; i < edge; i++) assert.equal(moved[i * edge + i], 0);
    }
    if (edge % 2 === 0) continue;
    const middle = (edge - 1) / 2;
    const rows = square(edge, [[1, 0, 1]]).apply(new Float32Array(edge ** 2));
    const columns = square(edge, [[0, 1, 1]]).apply(new Float32Array(edge ** 2));
    for (let i = 0; i < edge; i++) {
      for (let j = 0; j < edge; j++) {
        const wanted = -Math.sign(middle - i) + 0;
        assert.equal(rows[i * edge + j], wanted);
        assert.equal(columns[j * edge + i], wanted);
      }
    }
  }
});

Deno.test("sums that overflow move weights by the rate at most", () => {
  const all = Array.from({ length: 36 }, (_, i): [number, number, number] => [
    Math.floor(i / 6),
    i % 6,
    (i * i) % 7 < 3 ? 3.4e38 : -3.4e38,
  ]);
  const { layout, sparse, apply } = square(6, all);
  const dense = new Float32Array(36);
  decodeInto(dense, [sparse], layout);
  assert.ok(dense.some(Number.isNaN) && dense.some((x) => x === Infinity));
  assert.deepEqual(apply(new Float32Array(36)), dense.map((x) => 0 - (Math.sign(x) || 0)));
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
    new ResultApplier(parameters, hyper).apply(
      syntheticResults(shapes, hyper, 2 + round),
      .003 / round,
    );
  }
  const hash = createHash("sha256");
  for (const { data } of parameters) hash.update(new Uint8Array(data.buffer));
  // From a separate program in another language, with exact sums in place of ours.
  assert.equal(
    hash.digest("hex"),
    "13d5bc7c0cc4d6bf367d6c856d36551c8b7d61be91809561bd09f311b2a2c98d",
  );
});

Deno.test("results that do not fit are refused and change nothing", () => {
  const parameter = { name: "w", shape: [4, 6], data: matrix((r, c) => r + c) };
  const before = parameter.data.slice();
  const good = send(matrix((r, c) => Math.sin(r * c + 1)), example, hyper);
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
      () => new ResultApplier([parameter], hyper).apply([[good], result], .1),
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
        new ResultApplier([parameter], hyper).apply([result], .1);
      } catch (error) {
        assert.equal((error as { code?: string }).code, "DISTRO_RESULT_INVALID");
      }
      assert.ok(parameter.data.every(Number.isFinite));
    }),
    { numRuns: 500 },
  );
});

Deno.test("residuals that are not finite or of a wrong size are refused", () => {
  for (const bad of [NaN, Infinity, -Infinity]) {
    for (const at of [0, 17, 23]) {
      const residual = matrix(() => 1);
      residual[at] = bad;
      const notFinite = { code: "DISTRO_NOT_FINITE", message: / of w / };
      assert.throws(() => compress(layout, residual), notFinite);
    }
  }
  const wrong = { code: "DISTRO_INPUT_INVALID" };
  const short = new Float32Array(23);
  assert.throws(() => compress(layout, short), wrong);
  for (const given of [{ residual: short }, { weights: short }, { ahead: short }]) {
    assert.throws(() => new Residuals([parameter(layout, given)]), wrong);
  }
  assert.throws(() => new ResultApplier([{ name: "w", shape: [4, 6], data: short }], hyper), wrong);
});

Deno.test("parameters do not touch each other, whatever the threads and wherever they lie", async () => {
  const shapes = [[64, 128], [7], [128, 64], [20_000], [64, 128], [7, 5]];
  const hyper = { chunk: 64, topk: 5 };
  const layouts = shapes.map((shape) => distroLayout(shape, hyper));
  const arrays = (salt: number) =>
    layouts.map(({ blocks, totalk }, p) =>
      Float32Array.from({ length: blocks * totalk }, (_, i) => Math.sin(i * i + p + salt))
    );
  const gradients = arrays(0);
  const numbers = { gradients, decay: .9, rate: .5 };

  /** Steps, a look ahead and some applies; everything that comes of it. */
  function run(
    parameters: number[],
    threads: KernelThreads,
    place: (data: Float32Array) => Float32Array,
  ) {
    const of = <T>(all: readonly T[]) => parameters.map((p) => all[p]);
    const [own, weights] = [of(gradients).map(place), of(arrays(1)).map(place)];
    const zeros = () => own.map((data) => place(new Float32Array(data.length)));
    const [residual, ahead] = [zeros(), zeros()];
    const residuals = new Residuals(
      parameters.map((p, i) => ({
        name: `${p}`,
        layout: layouts[p],
        weights: weights[i],
        residual: residual[i],
        ahead: ahead[i],
      })),
      threads,
    );
    const step = { ...numbers, gradients: own };
    const results: Entries[] = [];
    const sent: DistroResult[] = [];
    // More than there are slots at first, and then one that was given back.
    for (let n = 0; n < 9; n++) {
      if (n === 5) residuals.release(results[3]);
      results.push(residuals.step({ ...step, previous: results.slice(n - 2, n) }));
      sent.push(
        byParameter(results[n], of(layouts))
          .map((kept, i) => writeEntries(kept, of(layouts)[i], n % 2 === 0)),
      );
    }
    assert.equal(new Set(results).size, 8);
    residuals.lookAhead(.1);
    const named = parameters.map((p, i) => ({ name: `${p}`, shape: shapes[p], data: weights[i] }));
    const applier = new ResultApplier(named, hyper, threads);
    for (const count of [2, 1, 9]) applier.apply(sent.slice(0, count), .01);
    return parameters.map((_, i) => ({
      sent: sent.map((result) => result[i]),
      arrays: [residual, ahead, weights].map((all) => all[i].slice()),
    }));
  }

  const everything = shapes.map((_, p) => p);
  const plain = run(everything, soleThread(), (data) => data.slice());
  assert.ok(plain.every(({ arrays }) => arrays.every((data) => data.some((x) => x !== 0))));
  everything.forEach((p) => {
    assert.deepEqual(run([p], soleThread(), (data) => data.slice()), [plain[p]]);
  });
  const threads = new KernelThreads(3);
  const memory = new ModelMemory(threads);
  const second = new ModelMemory(threads);
  const placements: ((data: Float32Array, n: number) => Float32Array)[] = [
    (data) => copyTo(memory.take(data.length)[0], data),
    (data, n) => copyTo((n % 2 ? memory : second).take(data.length)[0], data),
    (data, n) => n % 2 ? data.slice() : copyTo(memory.take(data.length)[0], data),
  ];
  try {
    for (const place of placements) {
      // Helpers need a moment to start: the last of these runs have them.
      for (let again = 0; again < 5; again++) {
        let n = 0;
        const got = run(everything, threads, (data) => place(data, n++));
        // All at once, a difference would take minutes and gigabytes to be told.
        const other = everything.filter((p) => !isDeepStrictEqual(got[p], plain[p]));
        assert.deepEqual(other, [], "parameters that came out otherwise");
        await delay(50);
      }
    }
  } finally {
    threads.close();
  }
});

function copyTo(target: Float32Array, data: Float32Array): Float32Array {
  target.set(data);
  return target;
}
