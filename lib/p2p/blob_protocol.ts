/**
 * The blob protocol: questions of 37 bytes, each answered by one frame, in order, on one stream.
 *
 * Question: kind (u8: 0 manifest, 1 chunk) | blob hash (32) | chunk index (u32 big-endian).
 * Answer: status (u8: 0 here it is, 1 not held) | manifest or chunk.
 */

import type { Stream } from "@libp2p/interface";
import { chunkCount, chunkRange } from "./blob_manifest.ts";
import type { BlobStore } from "./blob_store.ts";
import { FrameStream, type Traffic } from "./frame_stream.ts";

export const BLOB_PROTOCOL = "/psyche/blob/1";

export const BlobQuestion = { Manifest: 0, Chunk: 1 } as const;
export const BlobAnswer = { Held: 0, NotHeld: 1 } as const;

const QUESTION_SIZE = 37;
/** A peer that asks nothing for this long loses its stream. */
const IDLE_MS = 30_000;

/** Encodes a question. */
export function blobQuestion(kind: number, hash: Uint8Array, index: number): Uint8Array {
  const question = new Uint8Array(QUESTION_SIZE);
  question[0] = kind;
  question.set(hash, 1);
  new DataView(question.buffer).setUint32(33, index);
  return question;
}

/** The answer to a question; anything that is not a proper question is "not held". */
export function answerBlobQuestion(store: BlobStore, question: Uint8Array): Uint8Array {
  const notHeld = Uint8Array.of(BlobAnswer.NotHeld);
  if (question.length !== QUESTION_SIZE) return notHeld;
  const hash = question.subarray(1, 33);
  const index = new DataView(question.buffer, question.byteOffset).getUint32(33);
  const bytes = store.get(hash);
  if (bytes === null) return notHeld;
  if (question[0] === BlobQuestion.Manifest) return held(store.manifest(hash) ?? new Uint8Array());
  if (question[0] !== BlobQuestion.Chunk || index >= chunkCount(bytes.length)) return notHeld;
  const { start, end } = chunkRange(bytes.length, index);
  return held(bytes.subarray(start, end));
}

/** Answers a peer's questions until it ends the stream. */
export async function serveBlobs(
  stream: Stream,
  store: BlobStore,
  traffic: Traffic,
  isAllowed: () => boolean,
): Promise<void> {
  const frames = new FrameStream(stream, traffic);
  try {
    while (isAllowed()) {
      const question = await frames.read(QUESTION_SIZE, { totalMs: IDLE_MS });
      if (!isAllowed()) break;
      await frames.send(answerBlobQuestion(store, question));
    }
    frames.abort("not in the allow list");
  } catch {
    frames.abort(); // the peer is done, gone or misbehaving
  }
}

function held(body: Uint8Array): Uint8Array {
  const answer = new Uint8Array(1 + body.length);
  answer[0] = BlobAnswer.Held;
  answer.set(body, 1);
  return answer;
}
