import assert from "node:assert/strict";
import fc from "fast-check";
import { decodeIndices, encodeIndices } from "./index_encoding.ts";
import { decodeValues, encodeFloats, encodeSigns } from "./value_encoding.ts";

const refused = { code: "DISTRO_RESULT_INVALID" };

Deno.test("indices: the example of section 3.5 and every width's limits", () => {
  assert.deepEqual(
    [...encodeIndices(Int32Array.of(1, 258, 65535), 65536)],
    [1, 0, 2, 1, 0xff, 0xff],
  );
  assert.equal(encodeIndices(Int32Array.of(255), 256).length, 1);
  assert.equal(encodeIndices(Int32Array.of(256), 257).length, 2);
  assert.equal(encodeIndices(Int32Array.of(65536), 65537).length, 4);
});

Deno.test("indices survive a round trip", () => {
  fc.assert(fc.property(
    fc.integer({ min: 1, max: 2 ** 24 }).chain((totalk) =>
      fc.tuple(fc.constant(totalk), fc.array(fc.integer({ min: 0, max: totalk - 1 })))
    ),
    ([totalk, list]) => {
      const bytes = encodeIndices(Int32Array.from(list), totalk);
      assert.deepEqual([...decodeIndices(bytes, totalk)], list);
    },
  ));
});

Deno.test("indices out of range or cut off are refused", () => {
  assert.throws(() => decodeIndices(Uint8Array.of(12), 12), refused);
  assert.throws(() => decodeIndices(Uint8Array.of(1, 0, 1), 4096), refused);
  assert.throws(() => decodeIndices(Uint8Array.of(255, 255, 255, 255), 65537), refused);
});

Deno.test("values: signs pack from the least significant bit, -0 counts as negative", () => {
  const values = Float32Array.of(1, -2, 0, -0, 5, 6, 7, -8, -9);
  assert.deepEqual([...encodeSigns(values)], [0b10001010, 1]);
  assert.deepEqual(
    [...decodeValues(encodeSigns(values), 9, true)],
    [1, -1, 1, -1, 1, 1, 1, -1, -1],
  );
});

Deno.test("fp32 values survive a round trip", () => {
  fc.assert(fc.property(fc.float32Array({ noNaN: true, noDefaultInfinity: true }), (values) => {
    assert.deepEqual(decodeValues(encodeFloats(values), values.length, false), values);
  }));
});

Deno.test("values of a wrong size, dirty padding and non-finite values are refused", () => {
  assert.throws(() => decodeValues(new Uint8Array(2), 9 + 8, true), refused);
  assert.throws(() => decodeValues(Uint8Array.of(0, 2), 9, true), refused);
  assert.throws(() => decodeValues(new Uint8Array(7), 2, false), refused);
  for (const bad of [NaN, Infinity, -Infinity]) {
    assert.throws(() => decodeValues(encodeFloats(Float32Array.of(1, bad)), 2, false), refused);
  }
});
