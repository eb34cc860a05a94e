/**
 * Data of a run's TCP data server: docs/protocol/training-math.md section 6.7.
 *
 * Every batch takes a connection of its own, so there is no connection to keep alive, to lose and to
 * find again: trying again is connecting again.
 */
import { PsycheError } from "../../error.ts";
import type { BatchId } from "../../protocol/coordinator_state.ts";
import { batchRange, type DataProvider, type Samples, type TokenFormat } from "./data_provider.ts";
import {
  decodeAnswer,
  decodeGreeting,
  encodeRequest,
  type Greeting,
  MAX_GREETING,
  maxAnswerSize,
  type Rejection,
  signedRequest,
} from "./data_server_messages.ts";
import { parseHostPort } from "../../protocol/host_port.ts";
import { type RetryOptions, withRetries } from "./retries.ts";
import { type ByteConnection, TcpFrames } from "./tcp_frames.ts";

/** The client's peer-to-peer key, by which the data server knows it. */
export interface DataServerClient {
  runId: string;
  /** 32 bytes. */
  publicKey: Uint8Array;
  /** 64-byte ed25519 signature over exactly `message`. */
  sign(message: Uint8Array): Uint8Array;
}

export interface ServerProviderOptions extends Omit<RetryOptions, "signal" | "code"> {
  connect?: (options: { hostname: string; port: number }) => Promise<ByteConnection>;
  /** Limit for connecting and for each pause of the server, ms. Default 15000. */
  stallMs?: number;
}

const ADVICE: Record<Rejection, string> = {
  NotInThisRound: "this client has nothing to train in the round that the server sees",
  WrongDataIdForStep: "the batch is not this client's in the round that the server sees",
  NotAMember: "the server sees no member or joined client with this peer-to-peer key",
  SignatureInvalid: "the server knows itself, the run or this key by another name",
  DataUnavailable: "the server cannot read its own data",
};

/**
 * Asks the server what it holds. Membership matters only when a batch is asked for, so a client may
 * open its data before it joins.
 *
 * @param address `host:port` as it stands on chain
 * @throws PsycheError `DATA_LOCATION_INVALID` for an address that is none or a server of another run or
 * sequence length, `DATA_UNAVAILABLE` when it does not answer properly or rejects a request for good
 */
export async function serverProvider(
  address: string,
  { sequenceLength, maxToken }: Omit<TokenFormat, "tokenBytes">,
  client: DataServerClient,
  options: ServerProviderOptions = {},
  signal?: AbortSignal,
): Promise<DataProvider> {
  const { connect = Deno.connect, stallMs = 15_000 } = options;
  const endpoint = parseHostPort(address);

  /** One conversation; whatever goes wrong in it is worth another one. */
  const converse = <T>(
    talk: (frames: TcpFrames, greeting: Greeting) => Promise<T>,
    signal?: AbortSignal,
  ): Promise<T> =>
    withRetries(async () => {
      const late = AbortSignal.timeout(stallMs);
      let frames: TcpFrames | undefined;
      try {
        frames = new TcpFrames(await connected(connect(endpoint), late, signal), signal);
        const greeting = decodeGreeting(await frames.read(MAX_GREETING, { stallMs }));
        return await talk(frames, greeting);
      } catch (cause) {
        signal?.throwIfAborted();
        if (cause instanceof PsycheError && cause.code.startsWith("DATA_LOCATION")) throw cause;
        throw unavailable(address, cause);
      } finally {
        frames?.close();
      }
    }, { ...options, signal });

  const { sequences } = await converse((_, greeting) => {
    if (greeting.runId !== client.runId || greeting.sequenceLength !== sequenceLength) {
      throw new PsycheError(
        "DATA_LOCATION_INVALID",
        `The data server ${address} serves run "${greeting.runId}" with sequences of ${greeting.sequenceLength} tokens, not "${client.runId}" with ${sequenceLength}; correct data_location or the server's configuration.`,
      );
    }
    return Promise.resolve(greeting);
  }, signal);
  const shape = { sequences, sequenceLength };

  const read = async (batch: BatchId, signal?: AbortSignal): Promise<Samples> => {
    const { count } = batchRange(batch, shape);
    return await converse(async (frames, greeting) => {
      const request = { batch, publicKey: client.publicKey };
      // The run of the client, not of the greeting: nothing is signed for other runs.
      const text = signedRequest({ ...greeting, runId: client.runId }, address, request);
      const signed = encodeRequest({ ...request, signature: client.sign(text) });
      await frames.send(signed, { stallMs });
      const frame = await frames.read(maxAnswerSize(count, sequenceLength), { stallMs });
      const answer = decodeAnswer(frame, batch, sequenceLength, maxToken);
      if (answer.kind === "TrainingData") return answer.samples;
      throw new Error(`it answers ${answer.reason}, ${ADVICE[answer.reason]}`);
    }, signal);
  };
  return { ...shape, read };
}

/** The connection, unless it takes too long; one that comes later is closed. */
async function connected(
  connecting: Promise<ByteConnection>,
  late: AbortSignal,
  signal?: AbortSignal,
): Promise<ByteConnection> {
  const either = AbortSignal.any(signal ? [late, signal] : [late]);
  const aborted = Promise.withResolvers<never>();
  const abort = () => aborted.reject(either.reason);
  either.addEventListener("abort", abort);
  try {
    either.throwIfAborted();
    return await Promise.race([connecting, aborted.promise]);
  } catch (error) {
    connecting.then((connection) => connection.close(), () => {});
    throw error;
  } finally {
    either.removeEventListener("abort", abort);
  }
}

function unavailable(address: string, cause: unknown): PsycheError {
  const reason = cause instanceof Error ? cause.message : String(cause);
  return new PsycheError(
    "DATA_UNAVAILABLE",
    `The data server ${address} gives no data: ${reason}; check that it runs, is reachable and follows this run.`,
    { cause },
  );
}
