/**
 * One question to one peer and its answer, each a frame on a stream of their own.
 *
 * Answer: status (u8: 0 answer, 1 refusal) | answer bytes or UTF-8 error text.
 */

import type { Stream } from "@libp2p/interface";
import { PsycheError } from "../error.ts";
import { FrameStream, type Traffic } from "./frame_stream.ts";
import type { RequestHandler } from "./peer_network.ts";

export const REQUEST_PROTOCOL = "/psyche/request/1";

/** Largest request, bytes, docs/protocol/client-lifecycle.md section 5.5. */
export const MAX_REQUEST_SIZE = 1000;
/** Error texts are cut to this many bytes. */
const MAX_ERROR_SIZE = 1000;
/** Time for a whole exchange, section 5.5; large answers only have to keep coming. */
const REQUEST_TIMEOUT_MS = 10_000;

/**
 * Sends a request over a fresh stream and returns the answer.
 * @throws PsycheError `REQUEST_REFUSED` with the peer's text, or one of the stream's errors
 */
export async function askPeer(
  frames: FrameStream,
  request: Uint8Array,
  options: { maxSize: number; signal?: AbortSignal },
): Promise<Uint8Array> {
  try {
    await frames.send(request, options.signal);
    const answer = await frames.read(1 + Math.max(options.maxSize, MAX_ERROR_SIZE), {
      stallMs: REQUEST_TIMEOUT_MS,
      signal: options.signal,
    });
    if (answer[0] !== 0) {
      const text = new TextDecoder().decode(answer.subarray(1, 1 + MAX_ERROR_SIZE));
      throw new PsycheError(
        "REQUEST_REFUSED",
        `A peer refused a request: ${JSON.stringify(text)}; ask another peer.`,
      );
    }
    if (answer.length - 1 > options.maxSize) {
      throw new PsycheError(
        "PEER_FRAME_TOO_LARGE",
        `A peer answered ${
          answer.length - 1
        } bytes where at most ${options.maxSize} are allowed; ` +
          `ask another peer.`,
      );
    }
    return answer.subarray(1);
  } finally {
    frames.abort();
  }
}

/** @throws PsycheError `REQUEST_TOO_LARGE` */
export function checkRequestSize(request: Uint8Array): void {
  if (request.length > MAX_REQUEST_SIZE) {
    throw new PsycheError(
      "REQUEST_TOO_LARGE",
      `A direct request has at most ${MAX_REQUEST_SIZE} bytes, this one has ${request.length}; ` +
        `send large data as a blob.`,
    );
  }
}

/** Reads one request, has it answered and ends the stream. */
export async function serveRequest(
  stream: Stream,
  from: Uint8Array,
  handler: RequestHandler | null,
  traffic: Traffic,
): Promise<void> {
  const frames = new FrameStream(stream, traffic);
  try {
    const request = await frames.read(MAX_REQUEST_SIZE, { totalMs: REQUEST_TIMEOUT_MS });
    await frames.send(await answer(from, request, handler));
    await frames.finish();
  } catch {
    frames.abort(); // the asker went away or sent too much
  }
}

async function answer(
  from: Uint8Array,
  request: Uint8Array,
  handler: RequestHandler | null,
): Promise<Uint8Array> {
  let status = 0;
  let body: Uint8Array;
  try {
    if (handler === null) throw new Error("this peer answers no requests");
    body = await handler(from, request);
  } catch (error) {
    status = 1;
    const text = error instanceof Error ? error.message : String(error);
    body = new TextEncoder().encode(text).subarray(0, MAX_ERROR_SIZE);
  }
  const bytes = new Uint8Array(1 + body.length);
  bytes[0] = status;
  bytes.set(body, 1);
  return bytes;
}
