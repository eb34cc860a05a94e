/** The TCP data server of a run; docs/protocol/training-math.md section 6.7. */
import { PsycheError } from "../error.ts";
import { TcpFrames } from "../trainer/data/tcp_frames.ts";
import {
  type Answered,
  answerRequest,
  type ConversationOptions,
  receiveRequest,
} from "./conversation.ts";
import { Turns } from "./turns.ts";

export interface DataServerOptions
  extends Omit<ConversationOptions, "turns" | "signal" | "stallMs" | "patienceMs"> {
  host: string;
  /** 0 takes any. */
  port: number;
  /** Default 15 s. */
  stallMs?: number;
  /** Default 3 s. */
  patienceMs?: number;
  /** Connections at the same time. Default 512: a run has at most 256 clients, each needs one. */
  maxConnections?: number;
  onAnswer?: (answered: Answered) => void;
  /** A visitor that spoke nonsense or went away: a PsycheError. Anything else is a fault in here. */
  onProblem?: (error: unknown, remote: string) => void;
}

export interface DataServer {
  /** Address it listens on. */
  readonly host: string;
  readonly port: number;
  /** Ends all conversations; resolves when nothing is left. */
  close(): Promise<void>;
}

/** Batches held in memory at the same time. */
const MAX_ANSWERS = 32;

/**
 * Listens and serves until it is closed.
 *
 * @throws PsycheError `DATA_SERVER_PORT` when the address cannot be listened on
 */
export function serveData(options: DataServerOptions): DataServer {
  const { host, port, onAnswer, onProblem, maxConnections = 512 } = options;
  const { stallMs = 15_000, patienceMs = 3_000 } = options;
  const listener = listen(host, port);
  const end = new AbortController();
  const turns = new Turns(MAX_ANSWERS);
  const conversations = new Set<Promise<void>>();
  /** Newest request of each client: an older one is one that its client has given up. */
  const newest = new Map<string, AbortController>();

  /** Those who have not said who they are, the oldest first. */
  const strangers = new Set<AbortController>();

  const converse = async (connection: Deno.TcpConn): Promise<void> => {
    const given = new AbortController();
    strangers.add(given);
    const signal = AbortSignal.any([end.signal, given.signal]);
    const frames = new TcpFrames(connection, signal);
    const remote = remoteOf(connection);
    const conversation = { ...options, turns, stallMs, patienceMs, signal };
    let client: string | null = null;
    try {
      const request = await receiveRequest(frames, conversation);
      strangers.delete(given);
      if (request === null) return;
      client = request.publicKey.toHex();
      newest.get(client)?.abort(askedAgain());
      newest.set(client, given);
      const answered = await answerRequest(frames, request, conversation);
      onAnswer?.(answered);
    } catch (error) {
      if (!end.signal.aborted) onProblem?.(error, remote);
    } finally {
      frames.close();
      strangers.delete(given);
      if (client !== null && newest.get(client) === given) newest.delete(client);
    }
  };
  const accepting = (async () => {
    for await (const connection of accepted(listener, end.signal)) {
      if (conversations.size >= maxConnections) {
        // Who holds connections without a word must not keep others out.
        const [silent] = strangers;
        if (silent === undefined) {
          connection.close();
          continue;
        }
        strangers.delete(silent);
        silent.abort(crowdedOut());
      }
      const conversation: Promise<void> = converse(connection)
        .finally(() => conversations.delete(conversation));
      conversations.add(conversation);
    }
  })();
  return {
    host: listener.addr.hostname,
    port: listener.addr.port,
    async close() {
      end.abort(new Error("the data server ends"));
      listener.close();
      await accepting;
      await Promise.all(conversations);
    },
  };
}

/** Connections until the end; one that fails while it is accepted is its client's trouble. */
async function* accepted(listener: Deno.TcpListener, end: AbortSignal) {
  while (!end.aborted) {
    try {
      yield await listener.accept();
    } catch {
      // Without descriptors left, asking again at once would only burn time.
      await new Promise((resolve) => setTimeout(resolve, end.aborted ? 0 : 50));
    }
  }
}

function askedAgain(): PsycheError {
  return new PsycheError(
    "DATA_REQUEST_REPLACED",
    "The client asked again before it was answered; the newer request is answered.",
  );
}

function crowdedOut(): PsycheError {
  return new PsycheError(
    "DATA_CONNECTION_LOST",
    "The visitor had said nothing when another one needed its place.",
  );
}

function listen(hostname: string, port: number): Deno.TcpListener {
  try {
    return Deno.listen({ hostname, port });
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new PsycheError(
      "DATA_SERVER_PORT",
      `Port ${port} of ${hostname} cannot be listened on: ${reason}; choose another --port or --bind.`,
      { cause },
    );
  }
}

function remoteOf(connection: Deno.TcpConn): string {
  const { hostname, port } = connection.remoteAddr;
  return `${hostname}:${port}`;
}
