import assert from "node:assert/strict";
import onnxProto from "onnx-proto";
import { encodeModel } from "./proto.ts";

const { onnx } = onnxProto;

Deno.test("an independent reader decodes what the writer wrote", () => {
  const data = new Float32Array([1.5, -2]);
  const bytes = encodeModel({
    name: "g",
    inputs: [{ name: "x", type: "float32", shape: [2, 300] }],
    outputs: [{ name: "y", type: "int64", shape: [] }],
    initializers: [{
      name: "c",
      type: "float32",
      shape: [2],
      bytes: new Uint8Array(data.buffer),
    }],
    nodes: [{
      op: "Made",
      inputs: ["x", "", "c"],
      outputs: ["y"],
      domain: "somewhere",
      attributes: {
        i: { int: -3 },
        f: { float: 0.25 },
        s: { text: "add" },
        is: { ints: [1, -1, 70000] },
        fs: { floats: [0.5, 2] },
      },
    }],
  });
  const model = onnx.ModelProto.decode(bytes);
  assert.equal(Number(model.irVersion), 10);
  assert.deepEqual(model.opsetImport.map((o) => [o.domain, Number(o.version)]).sort(), [
    ["", 23],
    ["somewhere", 1],
  ]);
  const graph = model.graph!;
  const node = graph.node![0];
  assert.deepEqual(node.input, ["x", "", "c"]);
  assert.deepEqual(node.output, ["y"]);
  assert.deepEqual([node.opType, node.domain], ["Made", "somewhere"]);
  const attribute = Object.fromEntries(node.attribute!.map((a) => [a.name, a]));
  assert.equal(Number(attribute.i.i), -3);
  assert.equal(attribute.f.f, 0.25);
  assert.equal(new TextDecoder().decode(attribute.s.s!), "add");
  assert.deepEqual(attribute.is.ints!.map(Number), [1, -1, 70000]);
  assert.deepEqual(attribute.fs.floats, [0.5, 2]);
  assert.deepEqual(node.attribute!.map((a) => a.type), [2, 1, 3, 7, 6]);
  const input = graph.input![0].type!.tensorType!;
  assert.equal(input.elemType, 1);
  assert.deepEqual(input.shape!.dim!.map((d) => Number(d.dimValue)), [2, 300]);
  const output = graph.output![0].type!.tensorType!;
  assert.deepEqual([output.elemType, output.shape!.dim!.length], [7, 0]);
  const constant = graph.initializer![0];
  assert.deepEqual(constant.dims!.map(Number), [2]);
  assert.deepEqual(
    new Float32Array(constant.rawData!.slice().buffer),
    data,
  );
});

Deno.test("a constant whose bytes do not fit its shape is refused", () => {
  assert.throws(
    () =>
      encodeModel({
        name: "g",
        inputs: [],
        outputs: [],
        nodes: [],
        initializers: [{ name: "c", type: "int64", shape: [2], bytes: new Uint8Array(4) }],
      }),
    { code: "GRAPH_INVALID" },
  );
});
