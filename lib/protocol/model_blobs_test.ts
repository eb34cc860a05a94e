import assert from "node:assert/strict";
import {
  decodeModelConfig,
  decodeModelParameter,
  encodeModelConfig,
  encodeModelParameter,
  maxModelParameterSize,
} from "./model_blobs.ts";

const refused = (decode: () => unknown) => assert.throws(decode, { code: "MESSAGE_INVALID" });

Deno.test("model texts are read back as they were", () => {
  for (const tokenizer of [null, '{"é":1}']) {
    const blob = { config: '{"a":1}', tokenizer, parameterNames: ["a", "b.weight"] };
    const encoded = encodeModelConfig(blob);
    assert.deepEqual(decodeModelConfig(encoded), blob);
    for (let length = 0; length < encoded.length; length++) {
      refused(() => decodeModelConfig(encoded.subarray(0, length)));
    }
    refused(() => decodeModelConfig(Uint8Array.of(...encoded, 0)));
  }
  refused(() =>
    decodeModelConfig(
      encodeModelConfig({ config: "", tokenizer: null, parameterNames: ["a", "a"] }),
    )
  );
  // A byte order mark is part of the text, broken UTF-8 is not a text.
  const marked = { config: "\ufeff{}", tokenizer: null, parameterNames: [] };
  assert.deepEqual(decodeModelConfig(encodeModelConfig(marked)), marked);
  refused(() => decodeModelConfig(Uint8Array.of(2, 1, 0xff, 0, 0)));
});

Deno.test("only the expected parameter is accepted", () => {
  const blob = {
    name: "w",
    shape: [2, 3],
    values: Float32Array.of(1, -2, 3.5, 0, 1e-40, 6),
  };
  const encoded = encodeModelParameter(blob);
  assert.ok(encoded.length <= maxModelParameterSize(blob));
  assert.deepEqual(decodeModelParameter(encoded, blob), blob);
  refused(() => decodeModelParameter(encoded, { name: "v", shape: [2, 3] }));
  refused(() => decodeModelParameter(encoded, { name: "w", shape: [3, 2] }));
  refused(() => decodeModelParameter(encoded, { name: "w", shape: [6] }));
  refused(() => decodeModelParameter(encoded.subarray(0, -1), blob));
  refused(() => decodeModelParameter(Uint8Array.of(...encoded, 0), blob));
  refused(() => decodeModelParameter(encoded.with(0, 2), blob));
  const infinite = encodeModelParameter({ ...blob, values: blob.values.with(2, Infinity) });
  refused(() => decodeModelParameter(infinite, blob));
});

Deno.test("a view into a larger array sends only itself", () => {
  const all = Float32Array.of(1, 2, 3, 4);
  const blob = { name: "w", shape: [2], values: all.subarray(1, 3) };
  const decoded = decodeModelParameter(encodeModelParameter(blob), blob);
  assert.deepEqual([...decoded.values], [2, 3]);
});
