/**
 * What a joining client fetches from its peers: the model's texts and one blob per parameter.
 * docs/protocol/client-lifecycle.md sections 5.3 and 5.5. A parameter travels as raw fp32
 * little-endian bytes in row-major order with its shape: the toolkit's own form, see README.md there.
 */
import { BlobKind } from "./blob_kind.ts";
import { PostcardReader, PostcardWriter } from "./postcard.ts";

/** Longest text of a configuration or a tokenizer, bytes. */
const MAX_TEXT = 64 << 20;
/** Most parameters of a model. */
const MAX_PARAMETERS = 1 << 16;
/** Longest parameter name, bytes. */
const MAX_NAME = 1024;

export interface ModelConfigBlob {
  /** Text of config.json. */
  config: string;
  /** Text of tokenizer.json, or null when the model has none. */
  tokenizer: string | null;
  /** All parameters, in ascending byte order. */
  parameterNames: string[];
}

export interface ModelParameterBlob {
  name: string;
  shape: number[];
  /** Row-major, as many as the shape says. */
  values: Float32Array<ArrayBuffer>;
}

/** Encodes the texts of a model. */
export function encodeModelConfig(blob: ModelConfigBlob): Uint8Array<ArrayBuffer> {
  const writer = new PostcardWriter().varint(BlobKind.ModelConfig).text(blob.config);
  writer.bool(blob.tokenizer !== null);
  if (blob.tokenizer !== null) writer.text(blob.tokenizer);
  writer.varint(blob.parameterNames.length);
  for (const name of blob.parameterNames) writer.text(name);
  return writer.finish();
}

/** Decodes the texts of a model. @throws PsycheError `MESSAGE_INVALID`. */
export function decodeModelConfig(bytes: Uint8Array): ModelConfigBlob {
  const reader = new PostcardReader(bytes, "model configuration");
  checkKind(reader, BlobKind.ModelConfig);
  const config = reader.text("config", MAX_TEXT);
  const tokenizer = reader.bool("tokenizer") ? reader.text("tokenizer", MAX_TEXT) : null;
  const count = reader.count("number of parameters", MAX_PARAMETERS);
  const parameterNames: string[] = [];
  for (let i = 0; i < count; i++) parameterNames.push(reader.text("parameter name", MAX_NAME));
  if (new Set(parameterNames).size !== count) {
    throw reader.invalid("parameter names", "a name stands there twice");
  }
  reader.finish();
  return { config, tokenizer, parameterNames };
}

/** Encodes one parameter. */
export function encodeModelParameter(blob: ModelParameterBlob): Uint8Array<ArrayBuffer> {
  const writer = new PostcardWriter().varint(BlobKind.ModelParameter).text(blob.name);
  writer.varint(blob.shape.length);
  for (const size of blob.shape) writer.varint(size);
  const { buffer, byteOffset, byteLength } = blob.values;
  return writer.bytes(new Uint8Array(buffer, byteOffset, byteLength)).finish();
}

/** Upper bound of a parameter blob's length in bytes, to be checked before it is fetched. */
export function maxModelParameterSize(expected: { name: string; shape: number[] }): number {
  return 4 * elements(expected.shape) + 4 * expected.name.length + 10 * expected.shape.length + 64;
}

/**
 * Decodes one parameter, which must be the expected one and finite.
 *
 * @throws PsycheError `MESSAGE_INVALID`.
 */
export function decodeModelParameter(
  bytes: Uint8Array,
  expected: { name: string; shape: number[] },
): ModelParameterBlob {
  const reader = new PostcardReader(bytes, "model parameter");
  checkKind(reader, BlobKind.ModelParameter);
  const name = reader.text("name", MAX_NAME);
  if (name !== expected.name) {
    throw reader.invalid("name", `${JSON.stringify(name)} instead of "${expected.name}"`);
  }
  const axes = reader.u32("shape");
  if (axes !== expected.shape.length) {
    throw reader.invalid("shape", `${axes} axes instead of ${expected.shape.length}`);
  }
  for (const size of expected.shape) {
    const found = reader.u32("shape");
    if (found !== size) throw reader.invalid("shape", `${found} instead of ${size}`);
  }
  const length = 4 * elements(expected.shape);
  const data = reader.bytes("values", length);
  if (data.length !== length) {
    throw reader.invalid("values", `${data.length} instead of ${length} bytes`);
  }
  reader.finish();
  const values = new Float32Array(data.buffer, data.byteOffset, length / 4);
  if (!values.every(Number.isFinite)) throw reader.invalid("values", "a value is not finite");
  return { name, shape: expected.shape, values };
}

/** How many numbers a parameter of this shape has. */
export function elements(shape: readonly number[]): number {
  return shape.reduce((a, b) => a * b, 1);
}

function checkKind(reader: PostcardReader, kind: BlobKind): void {
  if (reader.count("payload", 2) !== kind) {
    throw reader.invalid("payload", "it is another kind of blob");
  }
}
