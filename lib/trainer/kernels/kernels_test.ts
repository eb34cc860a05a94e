/** Every kernel against plain loops that say what it computes, bit by bit. */
import assert from "node:assert/strict";
import fc from "fast-check";
import { elementwise, sumsOfSquares } from "./elementwise.ts";
import { weightsFingerprint } from "./fingerprint.ts";
import { KernelMemory, MOST_BYTES, placeOf } from "./kernel_memory.ts";
import { KernelSpace } from "./kernel_space.ts";

const { fround } = Math;
/** More than two pieces of every loop, and no whole number of vectors. */
const LONG = 2 * 16_384 + 7;

/** Arrays of one length: short ones of any numbers, or long ones of a few. */
const arrays = (count: number) =>
  fc.oneof(
    fc.integer({ min: 1, max: 70 }).chain((length) =>
      fc.array(
        fc.float32Array({
          minLength: length,
          maxLength: length,
          noNaN: true,
          noDefaultInfinity: true,
        }),
        { minLength: count, maxLength: count },
      )
    ),
    fc.array(fc.float({ min: -2, max: 2, noNaN: true }), { minLength: 7, maxLength: 7 }).map((
      few,
    ) =>
      Array.from(
        { length: count },
        (_, a) => Float32Array.from({ length: LONG }, (_, i) => few[(i * (a + 1)) % few.length]),
      )
    ),
  );
const factor = fc.float({ min: -2, max: 2, noNaN: true });
const cases = { numRuns: 40 };

Deno.test("scaling, adding and both at once", () => {
  fc.assert(
    fc.property(arrays(2), factor, factor, ([a, b], by, share) => {
      const sum = a.slice();
      elementwise("add", [[sum, b]])();
      assert.deepEqual(sum, a.map((x, i) => x + b[i]));
      const scaled = a.slice();
      elementwise("scale", [[scaled]])([by]);
      assert.deepEqual(scaled, a.map((x) => x * by));
      const blend = a.slice();
      elementwise("blend", [[blend, b]])([by, share]);
      const blended = a.map((x, i) => fround(x * by) + fround(b[i] * share));
      assert.deepEqual(blend, blended);
    }),
    cases,
  );
});

Deno.test("the sum of squares, also where fp32 would overflow; not finite when an element is not", () => {
  fc.assert(
    fc.property(arrays(1), fc.nat(), ([data], at) => {
      const wanted = data.reduce((sum, x) => sum + x * x, 0);
      assert.ok(Math.abs(sumsOfSquares([data])()[0] - wanted) <= 1e-12 * wanted);
      for (const bad of [NaN, Infinity, -Infinity]) {
        const broken = data.slice();
        broken[at % data.length] = bad;
        assert.ok(!Number.isFinite(sumsOfSquares([broken])()[0]));
      }
    }),
    cases,
  );
});

Deno.test("AdamW in fp32, its moments kept from step to step", () => {
  const rates = { rate: 0.01, correction: 1.5, eps: 1e-8, keep: 0.999, clip: 0.5 };
  const numbers = { beta1: 0.9, beta2: 0.95, ...rates };
  fc.assert(
    fc.property(arrays(3), ([start, g1, g2]) => {
      const weights = start.slice();
      const moments = [0, 0].map(() => new Float32Array(start.length));
      const [w, m, v] = [start.slice(), ...[0, 0].map(() => new Float32Array(start.length))];
      const expect = (gradient: Float32Array) => {
        const f = Object.fromEntries(
          Object.entries(numbers).map(([name, value]) => [name, fround(value)]),
        ) as typeof numbers;
        const [new1, new2] = [fround(1 - numbers.beta1), fround(1 - numbers.beta2)];
        for (let i = 0; i < w.length; i++) {
          const g = fround(gradient[i] * f.clip);
          m[i] = fround(f.beta1 * m[i]) + fround(new1 * g);
          v[i] = fround(f.beta2 * v[i]) + fround(fround(new2 * g) * g);
          const size = fround(fround(fround(Math.sqrt(v[i])) * f.correction) + f.eps);
          w[i] = fround(w[i] * f.keep) - fround(fround(f.rate * m[i]) / size);
        }
        assert.deepEqual(weights, w);
      };
      for (const gradient of [g1, g2]) {
        elementwise("adamw", [[weights, gradient, ...moments]])(Object.values(numbers));
        expect(gradient);
      }
    }),
    cases,
  );
});

Deno.test("the fingerprint depends on every bit and its place", () => {
  fc.assert(
    fc.property(arrays(2), fc.nat(), fc.integer({ min: 0, max: 31 }), ([a, b], at, bit) => {
      const before = weightsFingerprint([a, b])();
      assert.match(before, /^[0-9a-f]{32}$/);
      assert.equal(weightsFingerprint([a, b])(), before);
      const bits = new Uint32Array(b.buffer);
      bits[at % b.length] ^= 1 << bit;
      assert.notEqual(weightsFingerprint([a, b])(), before);
      bits[at % b.length] ^= 1 << bit;
      assert.equal(weightsFingerprint([a, b])(), before);
      if (a[0] !== b[0]) assert.notEqual(weightsFingerprint([b, a])(), before);
    }),
    cases,
  );
  const swapped = (i: number, j: number) => {
    const data = Float32Array.from({ length: 100 }, (_, at) => at);
    [data[i], data[j]] = [data[j], data[i]];
    return weightsFingerprint([data])();
  };
  // Two places of one lane, and of two.
  assert.equal(new Set([swapped(0, 0), swapped(1, 17), swapped(1, 2), swapped(33, 49)]).size, 4);
  // Two signs of one lane must not cancel.
  const signs = new Float32Array(64).fill(1);
  const plain = weightsFingerprint([signs])();
  signs[3] = signs[19] = -1;
  assert.notEqual(weightsFingerprint([signs])(), plain);
});

Deno.test("a fingerprint is the same on every machine", () => {
  const data = Float32Array.from({ length: 1000 }, (_, i) => (i * 7919 % 4001 - 2000) / 8192);
  // What the lanes hold, computed without vectors.
  const lanes = Uint32Array.from({ length: 16 }, (_, lane) => lane + 1);
  new Uint32Array(data.buffer).forEach((bits, i) => {
    const x = lanes[i % 16] ^ bits;
    lanes[i % 16] = Math.imul(x << 13 | x >>> 19, 0x9e3779b1);
  });
  const memory = new KernelMemory(2 ** 24);
  const state = memory.take(Uint32Array, 16);
  state.forEach((_, lane) => state[lane] = lane + 1);
  const copy = memory.take(Float32Array, data.length);
  copy.set(data);
  const { kernels } = new KernelSpace(memory);
  kernels.fingerprint(state.byteOffset, copy.byteOffset, data.length);
  assert.deepEqual([...state], [...lanes]);
  assert.equal(weightsFingerprint([data])(), "2e75c348e4c671e429f99c6e81c67603");
});

Deno.test("arrays of a memory do not touch, and no more is taken than there is room", () => {
  const memory = new KernelMemory(2 ** 20);
  const first = memory.takeAlias(5);
  first.set([1, 2, 3, 4, 5]);
  const { address, length } = placeOf(first)!;
  const second = memory.take(Float32Array, 1000);
  assert.equal(placeOf(second)!.address, address + 32);
  assert.ok(memory.at(Float32Array, address, length).every((x, i) => x === i + 1));
  second.fill(7);
  assert.deepEqual([...first], [1, 2, 3, 4, 5]);
  assert.equal(placeOf(first.subarray(2))!.address, address + 8);
  assert.equal(placeOf(first.slice()), null);
  const left = 2 ** 20 - 32 - 4000;
  assert.ok(memory.hasRoom(left));
  for (const bytes of [left + 1, 2 ** 32, Infinity]) {
    assert.ok(!memory.hasRoom(bytes));
    assert.throws(() => memory.allocate(bytes), { code: "KERNEL_MEMORY_TOO_LARGE" });
  }
  memory.take(Uint8Array, left).fill(9);
  assert.deepEqual([...first], [1, 2, 3, 4, 5]);
});

Deno.test("kernels reach the last element of memories of every size, and nothing beyond", () => {
  for (const room of [65_537, 2 ** 20, 2 ** 20 + 1, 127 * 65_536, 129 * 65_536, MOST_BYTES]) {
    const memory = new KernelMemory(room);
    const { kernels } = new KernelSpace(memory);
    const end = memory.parts.memory.buffer.byteLength;
    assert.ok(end - room >= 65_536 && end - room < 2 * 65_536);
    const last = memory.at(Float32Array, end - 8, 2).fill(3);
    kernels.scale(end - 8, 2, 2);
    assert.deepEqual([...last], [6, 6]);
    assert.throws(() => kernels.scale(end - 8, 3, 2), WebAssembly.RuntimeError);
  }
});
