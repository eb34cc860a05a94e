/** One conversation of the data server; docs/protocol/training-math.md section 6.7. */
import { verifySignature } from "../p2p/signing.ts";
import { batchIdText } from "../protocol/assignment.ts";
import type { BatchId, CoordinatorState } from "../protocol/coordinator_state.ts";
import type { DataProvider, Samples } from "../trainer/data/data_provider.ts";
import {
  type DataRequest,
  decodeRequest,
  encodeAnswer,
  encodeGreeting,
  MAX_REQUEST,
  type Rejection,
  signedRequest,
} from "../trainer/data/data_server_messages.ts";
import type { TcpFrames } from "../trainer/data/tcp_frames.ts";
import { batchRight } from "./batch_right.ts";
import type { RunStates } from "./run_states.ts";
import type { Turns } from "./turns.ts";

export interface ConversationOptions {
  data: DataProvider;
  runId: string;
  states: RunStates;
  /** Bounds the batches that are held in memory. */
  turns: Turns;
  /** Time for the request to come, and for the client to take each piece of the answer; ms. */
  stallMs: number;
  /** Time to wait for the chain: a client may see a round before the server does; ms. */
  patienceMs: number;
  signal: AbortSignal;
}

/** Bytes a millisecond: a client that takes less holds up the others. */
const SLOWEST = 8;

/** A request whose signature is that of its key; nothing is said about rights yet. */
export interface SignedRequest {
  batch: BatchId;
  /** Peer-to-peer key of the client. */
  publicKey: Uint8Array;
}

/** What came of a request. */
export interface Answered {
  /** Key of the client, hex. */
  client: string;
  batch: string;
  outcome: "sent" | Rejection;
  /** Size of the answer. */
  bytes: number;
  /** Why the data could not be read, with `DataUnavailable`. */
  error?: unknown;
}

/**
 * Greets and reads the one request. Null when its signature is wrong; the client has been told then.
 *
 * @throws PsycheError `MESSAGE_INVALID`, `DATA_CONNECTION_LOST`, `DATA_FRAME_TOO_LARGE`
 */
export async function receiveRequest(
  frames: TcpFrames,
  { data, runId, states, stallMs }: ConversationOptions,
): Promise<SignedRequest | null> {
  const { sequences, sequenceLength } = data;
  const challenge = crypto.getRandomValues(new Uint8Array(32));
  await frames.send(encodeGreeting({ runId, sequences, sequenceLength, challenge }), { stallMs });
  const request = decodeRequest(await frames.read(MAX_REQUEST, { stallMs, totalMs: stallMs }));
  if (isSigned(request, runId, addressOnChain(states.current), challenge)) return request;
  await reject(frames, request.batch, "SignatureInvalid", stallMs);
  return null;
}

/**
 * Decides about a request and answers it.
 *
 * @throws PsycheError `DATA_CONNECTION_LOST`
 */
export async function answerRequest(
  frames: TcpFrames,
  { batch, publicKey }: SignedRequest,
  { data, states, turns, stallMs, patienceMs, signal }: ConversationOptions,
): Promise<Answered> {
  const answered = { client: publicKey.toHex(), batch: batchIdText(batch) };
  const right = await states.until(
    (state) => batchRight(state, publicKey, batch),
    // Who is no member yet was none in Warmup either.
    (right) => right === "granted" || right === "NotAMember",
    patienceMs,
    signal,
  );
  if (right !== "granted") {
    const bytes = await reject(frames, batch, right, stallMs);
    return { ...answered, outcome: right, bytes };
  }
  return await turns.take(async () => {
    let samples: Samples;
    try {
      samples = await data.read(batch, signal);
    } catch (error) {
      signal.throwIfAborted();
      const bytes = await reject(frames, batch, "DataUnavailable", stallMs);
      return { ...answered, outcome: "DataUnavailable", bytes, error };
    }
    const frame = encodeAnswer({ kind: "TrainingData", batch, samples });
    await frames.send(frame, { stallMs, totalMs: stallMs + frame.length / SLOWEST });
    return { ...answered, outcome: "sent", bytes: frame.length };
  }, signal);
}

/** Clients sign the address they dial, which is the one on chain. */
function addressOnChain({ model: { dataLocation } }: CoordinatorState): string {
  return dataLocation.kind === "Server" ? dataLocation.address : "";
}

function isSigned(
  request: DataRequest,
  runId: string,
  address: string,
  challenge: Uint8Array,
): boolean {
  const text = signedRequest({ runId, challenge }, address, request);
  return verifySignature(request.publicKey, text, request.signature);
}

async function reject(
  frames: TcpFrames,
  batch: BatchId,
  reason: Rejection,
  stallMs: number,
): Promise<number> {
  const frame = encodeAnswer({ kind: "RequestRejected", batch, reason });
  await frames.send(frame, { stallMs });
  return frame.length;
}
