/**
 * Writer for the small part of the ONNX protobuf format that a graph of ours needs.
 *
 * Only what is used exists: nodes, attributes, dense initialisers with raw bytes, static shapes.
 * Nothing is read back here; the tests decode the bytes with an independent reader.
 */
import { PsycheError } from "../../error.ts";

/** Element types and their ONNX `TensorProto.DataType` numbers. */
export const ELEMENT_TYPES = {
  float32: 1,
  uint8: 2,
  int32: 6,
  int64: 7,
  bool: 9,
  float64: 11,
} as const;

export type ElementType = keyof typeof ELEMENT_TYPES;

/** A node attribute; the key says which protobuf kind it becomes. */
export type OnnxAttribute =
  | { int: number }
  | { float: number }
  | { text: string }
  | { ints: readonly number[] }
  | { floats: readonly number[] };

export interface OnnxNode {
  op: string;
  inputs: readonly string[];
  outputs: readonly string[];
  attributes?: Readonly<Record<string, OnnxAttribute>>;
  /** Operator domain; the standard one when absent. */
  domain?: string;
}

export interface OnnxValue {
  name: string;
  type: ElementType;
  shape: readonly number[];
  /** The value is a list of such tensors. */
  list?: boolean;
}

/** A constant; `bytes` are its elements, little-endian and row-major. */
export interface OnnxInitializer extends OnnxValue {
  bytes: Uint8Array;
}

export interface OnnxGraph {
  name: string;
  inputs: readonly OnnxValue[];
  outputs: readonly OnnxValue[];
  initializers: readonly OnnxInitializer[];
  /** In topological order. */
  nodes: readonly OnnxNode[];
}

export const STANDARD_OPSET = 23;
const IR_VERSION = 10;
const BYTES = { float32: 4, uint8: 1, int32: 4, int64: 8, bool: 1, float64: 8 } as const;
const text = new TextEncoder();

/** Grows by doubling, so that a graph of many small fields costs few copies. */
class Writer {
  #bytes = new Uint8Array(256);
  #length = 0;

  #reserve(count: number): void {
    if (this.#length + count <= this.#bytes.length) return;
    const grown = new Uint8Array(Math.max(this.#bytes.length * 2, this.#length + count));
    grown.set(this.#bytes.subarray(0, this.#length));
    this.#bytes = grown;
  }

  #varint(value: bigint): void {
    this.#reserve(10);
    let rest = BigInt.asUintN(64, value);
    while (rest > 127n) {
      this.#bytes[this.#length++] = Number(rest & 127n) | 128;
      rest >>= 7n;
    }
    this.#bytes[this.#length++] = Number(rest);
  }

  /** An integer field; negative numbers take ten bytes, as protobuf's int64 does. */
  int(field: number, value: number): this {
    this.#varint(BigInt(field << 3));
    this.#varint(BigInt(value));
    return this;
  }

  float(field: number, value: number): this {
    this.#varint(BigInt((field << 3) | 5));
    this.#reserve(4);
    new DataView(this.#bytes.buffer).setFloat32(this.#length, value, true);
    this.#length += 4;
    return this;
  }

  bytes(field: number, value: Uint8Array): this {
    this.#varint(BigInt((field << 3) | 2));
    this.#varint(BigInt(value.length));
    this.#reserve(value.length);
    this.#bytes.set(value, this.#length);
    this.#length += value.length;
    return this;
  }

  text(field: number, value: string): this {
    return this.bytes(field, text.encode(value));
  }

  message(field: number, write: (writer: Writer) => void): this {
    const inner = new Writer();
    write(inner);
    return this.bytes(field, inner.finish());
  }

  finish(): Uint8Array<ArrayBuffer> {
    return this.#bytes.slice(0, this.#length);
  }
}

function writeAttribute(w: Writer, name: string, value: OnnxAttribute): void {
  w.text(1, name);
  if ("int" in value) w.int(3, value.int).int(20, 2);
  else if ("float" in value) w.float(2, value.float).int(20, 1);
  else if ("text" in value) w.text(4, value.text).int(20, 3);
  else if ("ints" in value) {
    for (const item of value.ints) w.int(8, item);
    w.int(20, 7);
  } else {
    for (const item of value.floats) w.float(7, item);
    w.int(20, 6);
  }
}

function writeNode(w: Writer, node: OnnxNode): void {
  for (const name of node.inputs) w.text(1, name);
  for (const name of node.outputs) w.text(2, name);
  w.text(4, node.op);
  for (const [name, value] of Object.entries(node.attributes ?? {})) {
    w.message(5, (inner) => writeAttribute(inner, name, value));
  }
  if (node.domain !== undefined) w.text(7, node.domain);
}

function writeValue(w: Writer, value: OnnxValue): void {
  const writeTensorType = (type: Writer) =>
    type.message(1, (tensor) => {
      tensor.int(1, ELEMENT_TYPES[value.type]);
      tensor.message(2, (shape) => {
        for (const size of value.shape) shape.message(1, (dimension) => dimension.int(1, size));
      });
    });
  w.text(1, value.name);
  w.message(2, (type) => {
    if (value.list) type.message(4, (list) => list.message(1, writeTensorType));
    else writeTensorType(type);
  });
}

function writeInitializer(w: Writer, value: OnnxInitializer): void {
  const expected = value.shape.reduce((a, b) => a * b, 1) * BYTES[value.type];
  if (value.bytes.length !== expected) {
    throw new PsycheError(
      "GRAPH_INVALID",
      `Constant ${value.name} holds ${value.bytes.length} bytes but its shape [${value.shape}] ` +
        `of ${value.type} needs ${expected}; correct the shape or the data.`,
    );
  }
  for (const size of value.shape) w.int(1, size);
  w.int(2, ELEMENT_TYPES[value.type]).text(8, value.name).bytes(9, value.bytes);
}

/**
 * Serialises a graph as an ONNX ModelProto.
 *
 * @throws PsycheError `GRAPH_INVALID` when a constant's bytes do not fit its shape.
 */
export function encodeModel(graph: OnnxGraph): Uint8Array<ArrayBuffer> {
  const domains = new Set(graph.nodes.map((node) => node.domain ?? ""));
  domains.add("");
  const model = new Writer().int(1, IR_VERSION).text(2, "psyche");
  model.message(7, (w) => {
    for (const node of graph.nodes) w.message(1, (inner) => writeNode(inner, node));
    w.text(2, graph.name);
    for (const value of graph.initializers) w.message(5, (inner) => writeInitializer(inner, value));
    for (const value of graph.inputs) w.message(11, (inner) => writeValue(inner, value));
    for (const value of graph.outputs) w.message(12, (inner) => writeValue(inner, value));
  });
  for (const domain of domains) {
    model.message(8, (w) => w.text(1, domain).int(2, domain === "" ? STANDARD_OPSET : 1));
  }
  return model.finish();
}
