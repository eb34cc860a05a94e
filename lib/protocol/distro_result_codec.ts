/**
 * The blob with which a client answers for its batch: compressed pseudo-gradients of all parameters.
 * docs/protocol/client-lifecycle.md section 5.3, training-math.md sections 3.5 to 3.7.
 */
import { PsycheError } from "../error.ts";
import type { BatchId } from "./coordinator_state.ts";
import { BlobKind } from "./blob_kind.ts";
import { readBatchId } from "./messages.ts";
import { PostcardReader, PostcardWriter } from "./postcard.ts";

/** Shape of one parameter's result, which every client of a run derives from the model by itself. */
export interface CompressedShape {
  /** Block tensor before flattening: `[x, w]` for a vector, `[..., y, x, h, w]` otherwise. */
  xshape: number[];
  /** Entries of a flattened block: `w`, or `h * w`. */
  totalk: number;
  /** Entries kept per block. */
  k: number;
  /** One bit per value instead of fp32. */
  oneBit: boolean;
}

/** One parameter's result; the trainer's `SparseParameter`. */
export interface CompressedParameter extends CompressedShape {
  /** Encoded indices, blocks row-major, k each: u8, u16 LE or u32 LE by `totalk`. */
  indices: Uint8Array;
  /** Encoded values in the same order: fp32 LE, or one bit each, least significant first. */
  values: Uint8Array;
}

export interface DistroResultBlob {
  step: number;
  /** Training calls of the sender's trainer before this one. */
  trainerNonce: number;
  batchId: BatchId;
  /** In ascending byte order of the parameters' names. */
  parameters: CompressedParameter[];
}

/** Element kinds of the torch numbering. */
const KIND_U8 = 0;
const KIND_FLOAT = 6;
const KIND_BOOL = 11;

/** Encoding of a tensor's data. */
const DATA_FULL = 0;
const DATA_ONE_BIT = 1;

/** Bytes of one index, section 3.5. */
export function indexWidth(totalk: number): 1 | 2 | 4 {
  if (totalk <= 256) return 1;
  return totalk <= 65536 ? 2 : 4;
}

/** The axes that count blocks. */
function blockDimensions({ xshape }: CompressedShape): number[] {
  return xshape.slice(0, xshape.length === 2 ? 1 : -2);
}

function entries(shape: CompressedShape): number {
  return blockDimensions(shape).reduce((a, b) => a * b, 1) * shape.k;
}

/** Bytes of the encoded indices and values of a parameter. */
export function compressedSizes(shape: CompressedShape): { indices: number; values: number } {
  const count = entries(shape);
  return {
    indices: count * indexWidth(shape.totalk),
    values: shape.oneBit ? Math.ceil(count / 8) : count * 4,
  };
}

/** Upper bound of a blob's length in bytes, to be checked before it is fetched. */
export function maxDistroResultSize(expected: CompressedShape[]): number {
  return expected.reduce((sum, shape) => {
    const { indices, values } = compressedSizes(shape);
    // Per axis at most 10 + 10 + 3 bytes of dimensions, and 64 for lengths, kinds and totalk.
    return sum + indices + values + 23 * (shape.xshape.length + 1) + 64;
  }, 64);
}

/**
 * Encodes a result.
 *
 * @throws PsycheError `DISTRO_RESULT_INVALID` when indices or values do not have the length that the
 * shape demands, or a dimension does not fit 16 bits.
 */
export function encodeDistroResult(blob: DistroResultBlob): Uint8Array<ArrayBuffer> {
  const writer = new PostcardWriter()
    .varint(BlobKind.DistroResult)
    .varint(blob.step)
    .varint(blob.trainerNonce)
    .varint(blob.batchId.start).varint(blob.batchId.end)
    .varint(blob.parameters.length);
  blob.parameters.forEach((parameter, i) => {
    checkEncodable(parameter, i);
    const blocks = blockDimensions(parameter);
    const width = indexWidth(parameter.totalk);
    // Wide indices are sent as bytes: the last dimension grows, the kind stays u8.
    writeTensor(writer, [...blocks, parameter.k * width], KIND_U8, DATA_FULL, parameter.indices);
    writeTensor(
      writer,
      [...blocks, parameter.k],
      parameter.oneBit ? KIND_BOOL : KIND_FLOAT,
      parameter.oneBit ? DATA_ONE_BIT : DATA_FULL,
      parameter.values,
    );
    writer.varint(parameter.xshape.length);
    for (const size of parameter.xshape) writer.varint(size);
    writer.varint(parameter.totalk);
  });
  return writer.finish();
}

function writeTensor(
  writer: PostcardWriter,
  dimensions: number[],
  kind: number,
  data: number,
  bytes: Uint8Array,
): void {
  writer.varint(dimensions.length);
  for (const size of dimensions) writer.zigzag(size);
  // The false says that no gradient is wanted for the tensor.
  writer.u8(kind).bool(false).varint(data).bytes(bytes);
}

function checkEncodable(parameter: CompressedParameter, i: number): void {
  const sizes = compressedSizes(parameter);
  const wrong = parameter.xshape.some((size) => size > 0xffff)
    ? `a dimension of ${parameter.xshape} is above 65535`
    : parameter.indices.length !== sizes.indices
    ? `${parameter.indices.length} index bytes instead of ${sizes.indices}`
    : parameter.values.length !== sizes.values
    ? `${parameter.values.length} value bytes instead of ${sizes.values}`
    : null;
  if (wrong === null) return;
  throw new PsycheError(
    "DISTRO_RESULT_INVALID",
    `Parameter ${i} of a result cannot be sent: ${wrong}; encode it again from its block tensor.`,
  );
}

/**
 * Decodes a result of an unknown sender. Everything that would be interpreted is checked: shapes, kinds
 * and lengths against `expected`, every index below `totalk`, every fp32 value finite, padding bits zero.
 *
 * @param expected shapes of all parameters in order, as the own model has them.
 * @throws PsycheError `MESSAGE_INVALID`.
 */
export function decodeDistroResult(
  bytes: Uint8Array,
  expected: CompressedShape[],
): DistroResultBlob {
  const reader = new PostcardReader(bytes, "DisTrO result");
  if (reader.count("payload", 2) !== BlobKind.DistroResult) {
    throw reader.invalid("payload", "it is another kind of blob");
  }
  const step = reader.u32("step");
  const trainerNonce = reader.u32("trainer_nonce");
  const batchId = readBatchId(reader);
  const count = reader.u32("number of parameters");
  if (count !== expected.length) {
    throw reader.invalid("number of parameters", `${count} instead of ${expected.length}`);
  }
  const parameters = expected.map((shape, i) => readParameter(reader, `parameter ${i}`, shape));
  reader.finish();
  return { step, trainerNonce, batchId, parameters };
}

function readParameter(
  reader: PostcardReader,
  name: string,
  shape: CompressedShape,
): CompressedParameter {
  const sizes = compressedSizes(shape);
  const blocks = blockDimensions(shape);
  const width = indexWidth(shape.totalk);
  const indices = readTensor(reader, `indices of ${name}`, {
    dimensions: [...blocks, shape.k * width],
    kind: KIND_U8,
    data: DATA_FULL,
    length: sizes.indices,
  });
  const values = readTensor(reader, `values of ${name}`, {
    dimensions: [...blocks, shape.k],
    kind: shape.oneBit ? KIND_BOOL : KIND_FLOAT,
    data: shape.oneBit ? DATA_ONE_BIT : DATA_FULL,
    length: sizes.values,
  });
  const axes = reader.u32(`xshape of ${name}`);
  if (axes !== shape.xshape.length) {
    throw reader.invalid(`xshape of ${name}`, `${axes} axes instead of ${shape.xshape.length}`);
  }
  for (const size of shape.xshape) {
    const found = reader.u16(`xshape of ${name}`);
    if (found !== size) throw reader.invalid(`xshape of ${name}`, `${found} instead of ${size}`);
  }
  const totalk = reader.u32(`totalk of ${name}`);
  if (totalk !== shape.totalk) {
    throw reader.invalid(`totalk of ${name}`, `${totalk} instead of ${shape.totalk}`);
  }
  checkIndices(reader, name, indices, shape.totalk);
  if (shape.oneBit) checkPadding(reader, name, values, entries(shape));
  else checkFinite(reader, name, values);
  return { ...shape, indices, values };
}

function readTensor(
  reader: PostcardReader,
  field: string,
  tensor: { dimensions: number[]; kind: number; data: number; length: number },
): Uint8Array<ArrayBuffer> {
  const demand = (what: string, found: number | bigint, wanted: number) => {
    if (BigInt(found) !== BigInt(wanted)) {
      throw reader.invalid(field, `${what} ${found} instead of ${wanted}`);
    }
  };
  demand("number of axes", reader.u32(field), tensor.dimensions.length);
  for (const size of tensor.dimensions) demand("dimension", reader.zigzag(field), size);
  demand("kind", reader.u8(field), tensor.kind);
  if (reader.bool(field)) throw reader.invalid(field, "it asks for a gradient");
  demand("data encoding", reader.u8(field), tensor.data);
  demand("number of bytes", reader.u64(field), tensor.length);
  return reader.array(field, tensor.length);
}

function checkIndices(
  reader: PostcardReader,
  name: string,
  indices: Uint8Array,
  totalk: number,
): void {
  const width = indexWidth(totalk);
  const view = new DataView(indices.buffer, indices.byteOffset, indices.byteLength);
  for (let at = 0; at < indices.length; at += width) {
    const index = width === 1
      ? indices[at]
      : width === 2
      ? view.getUint16(at, true)
      : view.getUint32(at, true);
    if (index >= totalk) {
      throw reader.invalid(`indices of ${name}`, `${index} is outside of ${totalk} entries`);
    }
  }
}

function checkPadding(
  reader: PostcardReader,
  name: string,
  values: Uint8Array,
  count: number,
): void {
  const used = count % 8;
  if (used !== 0 && values[values.length - 1] >> used !== 0) {
    throw reader.invalid(`values of ${name}`, "the padding bits are not zero");
  }
}

function checkFinite(reader: PostcardReader, name: string, values: Uint8Array): void {
  const view = new DataView(values.buffer, values.byteOffset, values.byteLength);
  for (let at = 0; at < values.length; at += 4) {
    if (!Number.isFinite(view.getFloat32(at, true))) {
      throw reader.invalid(`values of ${name}`, "a value is not finite");
    }
  }
}
