/**
 * What data server and client say to each other, in postcard: docs/protocol/training-math.md section
 * 6.7. The server greets, the client sends one signed request, the server answers and ends the
 * connection.
 */
import { PostcardReader, PostcardWriter } from "../../protocol/postcard.ts";
import type { BatchId } from "../../protocol/coordinator_state.ts";
import { NO_LABEL, type Samples } from "./data_provider.ts";

/** Changed with every change of the messages. */
export const DATA_PROTOCOL_VERSION = 1;
/** Longest greeting and longest request, bytes. */
export const MAX_GREETING = 256;
export const MAX_REQUEST = 256;

/** First message of a server, before it knows who is there. */
export interface Greeting {
  runId: string;
  sequenceLength: number;
  /** Sequences there are; `Infinity` when they begin again after the last. */
  sequences: number;
  /** 32 random bytes that the request's signature covers. */
  challenge: Uint8Array;
}

export interface DataRequest {
  batch: BatchId;
  /** The client's ed25519 key as it stands on chain, 32 bytes. */
  publicKey: Uint8Array;
  /** 64 bytes over {@linkcode signedRequest}. */
  signature: Uint8Array;
}

/** Why a server gives no data. The first two are the network's own words. */
export const REJECTIONS = [
  "NotInThisRound",
  "WrongDataIdForStep",
  "NotAMember",
  "SignatureInvalid",
  "DataUnavailable",
] as const;
export type Rejection = typeof REJECTIONS[number];

export type DataAnswer =
  | { kind: "TrainingData"; batch: BatchId; samples: Samples }
  | { kind: "RequestRejected"; batch: BatchId; reason: Rejection };

const MAX_U64 = (1n << 64n) - 1n;
const MAX_RUN_ID = 64;

export function encodeGreeting({ runId, sequenceLength, sequences, challenge }: Greeting) {
  return new PostcardWriter().varint(DATA_PROTOCOL_VERSION).text(runId).varint(sequenceLength)
    .varint(sequences === Infinity ? MAX_U64 : sequences).array(challenge).finish();
}

/** @throws PsycheError `MESSAGE_INVALID` */
export function decodeGreeting(bytes: Uint8Array): Greeting {
  const reader = new PostcardReader(bytes, "greeting of a data server");
  const version = reader.u32("version");
  if (version !== DATA_PROTOCOL_VERSION) {
    throw reader.invalid("version", `it is ${version}, not ${DATA_PROTOCOL_VERSION}`);
  }
  const runId = reader.text("run id", MAX_RUN_ID);
  const sequenceLength = reader.u32("sequence length");
  const sequences = reader.u64("sequences");
  if (sequences !== MAX_U64 && sequences > BigInt(Number.MAX_SAFE_INTEGER)) {
    throw reader.invalid("sequences", `${sequences} are too many`);
  }
  const challenge = reader.array("challenge", 32);
  reader.finish();
  return {
    runId,
    sequenceLength,
    sequences: sequences === MAX_U64 ? Infinity : Number(sequences),
    challenge,
  };
}

/**
 * The bytes a request is signed over. They name server and run, so that a signature given to one
 * server is worth nothing at another.
 *
 * @param address of the server as it stands on chain
 */
export function signedRequest(
  { runId, challenge }: Pick<Greeting, "runId" | "challenge">,
  address: string,
  { batch, publicKey }: Pick<DataRequest, "batch" | "publicKey">,
): Uint8Array<ArrayBuffer> {
  return new PostcardWriter().text(`psyche data request ${DATA_PROTOCOL_VERSION}`).text(runId)
    .text(address).array(challenge).array(publicKey).varint(batch.start).varint(batch.end).finish();
}

export function encodeRequest({ batch, publicKey, signature }: DataRequest) {
  return new PostcardWriter().varint(batch.start).varint(batch.end).array(publicKey)
    .array(signature).finish();
}

/** @throws PsycheError `MESSAGE_INVALID` */
export function decodeRequest(bytes: Uint8Array): DataRequest {
  const reader = new PostcardReader(bytes, "request for training data");
  const request = {
    batch: readBatch(reader),
    publicKey: reader.array("public key", 32),
    signature: reader.array("signature", 64),
  };
  reader.finish();
  return request;
}

export function encodeAnswer(answer: DataAnswer): Uint8Array<ArrayBuffer> {
  const writer = new PostcardWriter().varint(answer.kind === "TrainingData" ? 0 : 1)
    .varint(answer.batch.start).varint(answer.batch.end);
  if (answer.kind === "RequestRejected") {
    return writer.varint(REJECTIONS.indexOf(answer.reason)).finish();
  }
  const { tokens, labels, positionIds, sequenceLengths } = answer.samples;
  writer.bytes(littleEndian(tokens));
  for (const column of [labels, positionIds]) {
    writer.bool(column !== undefined);
    if (column !== undefined) writer.bytes(littleEndian(column));
  }
  writer.bool(sequenceLengths !== undefined);
  for (const lengths of sequenceLengths ?? []) {
    writer.varint(lengths.length);
    lengths.forEach((length) => writer.varint(length));
  }
  return writer.finish();
}

/** Most bytes an answer for `count` sequences can have. */
export function maxAnswerSize(count: number, sequenceLength: number): number {
  // Three columns of int32 and, at worst, as many texts as tokens: one byte each and their number.
  return 64 + count * (sequenceLength * 13 + 5);
}

/**
 * @param batch that was asked for
 * @param maxToken largest token and label to accept
 * @throws PsycheError `MESSAGE_INVALID`
 */
export function decodeAnswer(
  bytes: Uint8Array,
  batch: BatchId,
  sequenceLength: number,
  maxToken = 2 ** 31 - 1,
): DataAnswer {
  const reader = new PostcardReader(bytes, "answer of a data server");
  const kind = reader.count("kind", 1);
  const answered = readBatch(reader);
  if (answered.start !== batch.start || answered.end !== batch.end) {
    throw reader.invalid(
      "batch id",
      `${answered.start}..${answered.end} is not ${batch.start}..${batch.end}`,
    );
  }
  if (kind === 1) {
    const reason = REJECTIONS[reader.count("reason", REJECTIONS.length - 1)];
    reader.finish();
    return { kind: "RequestRejected", batch, reason };
  }
  const rows = Number(batch.end - batch.start) + 1;
  const column = (name: string, least: number, most: number, special?: number) => {
    const size = rows * sequenceLength * 4;
    const values = fromLittleEndian(reader.bytes(name, size));
    if (values.length * 4 !== size) throw reader.invalid(name, `it has not ${size} bytes`);
    const outside = values.find((value) => (value < least || value > most) && value !== special);
    if (outside !== undefined) {
      throw reader.invalid(name, `it holds ${outside}, outside ${least} to ${most}`);
    }
    return values;
  };
  const samples: Samples = { tokens: column("tokens", 0, maxToken) };
  if (reader.bool("labels present")) samples.labels = column("labels", 0, maxToken, NO_LABEL);
  if (reader.bool("positions present")) {
    samples.positionIds = column("position ids", 0, 2 ** 31 - 1);
  }
  if (reader.bool("lengths present")) {
    samples.sequenceLengths = Array.from(
      { length: rows },
      () => readLengths(reader, sequenceLength),
    );
  }
  reader.finish();
  return { kind: "TrainingData", batch, samples };
}

function readLengths(reader: PostcardReader, sequenceLength: number): number[] {
  const count = reader.count("number of texts", sequenceLength);
  const lengths: number[] = [];
  let rest = sequenceLength;
  for (let i = 0; i < count; i++) {
    const length = reader.count("length of a text", rest);
    if (length === 0) throw reader.invalid("length of a text", "it is 0");
    rest -= length;
    lengths.push(length);
  }
  if (rest !== 0) throw reader.invalid("length of a text", `${rest} tokens belong to no text`);
  return lengths;
}

function readBatch(reader: PostcardReader): BatchId {
  return { start: reader.u64("first sequence"), end: reader.u64("last sequence") };
}

/** Deno runs on little-endian machines only. */
function littleEndian(values: Int32Array<ArrayBuffer>): Uint8Array<ArrayBuffer> {
  return new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
}

/** A rest below four bytes is left out. */
function fromLittleEndian(bytes: Uint8Array<ArrayBuffer>): Int32Array<ArrayBuffer> {
  return new Int32Array(bytes.buffer, bytes.byteOffset, Math.floor(bytes.length / 4));
}
