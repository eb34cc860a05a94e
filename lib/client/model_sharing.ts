import { PsycheError } from "../error.ts";
import type { BlobTicket, PeerNetwork } from "../p2p/peer_network.ts";
import {
  decodeModelConfig,
  decodeModelParameter,
  encodeModelConfig,
  encodeModelParameter,
} from "../protocol/model_codec.ts";
import type { ModelFiles, Trainer } from "../trainer/trainer.ts";

/** A model as peers hand it over. */
export interface SharedModel {
  files: ModelFiles;
  parameters: Map<string, Float32Array<ArrayBuffer>>;
}

/** Largest configuration blob (config.json and tokenizer.json), bytes. */
const MAX_CONFIG_SIZE = 64 << 20;
/** Largest single parameter, bytes. */
const MAX_PARAMETER_SIZE = 2 ** 31;
/** Encoded ticket: 32-byte hash, u64 LE size. */
const TICKET_SIZE = 40;
/** Parameters in flight, client-lifecycle.md section 5.5. */
const PARALLEL_PARAMETERS = 8;

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/**
 * Serves the model to members that join: request `config` or `parameter:NAME`, answer a blob ticket
 * (docs/protocol/client-lifecycle.md section 5.5). Blobs are made on demand and dropped by `reset`.
 */
export class ModelServer {
  readonly #network: PeerNetwork;
  #trainer: Trainer | null = null;
  readonly #tickets = new Map<string, Promise<BlobTicket>>();

  constructor(network: PeerNetwork) {
    this.#network = network;
    network.onRequest((_from, request) => this.#answer(decoder.decode(request)));
  }

  /** Offers the trainer's weights, which must not change until `reset`. */
  offer(trainer: Trainer): void {
    this.#trainer = trainer;
  }

  /** Stops serving: the weights are about to change. */
  reset(): void {
    this.#trainer = null;
    for (const ticket of this.#tickets.values()) {
      ticket.then(({ hash }) => this.#network.removeBlob(hash), () => {});
    }
    this.#tickets.clear();
  }

  async #answer(request: string): Promise<Uint8Array> {
    const trainer = this.#trainer;
    if (!trainer) throw new PsycheError("MODEL_NOT_SHARED", "The model is served in Warmup only.");
    if (request === "weights") return encoder.encode(await trainer.weightsSha256());
    let ticket = this.#tickets.get(request);
    if (!ticket) {
      ticket = this.#encode(trainer, request).then((bytes) => this.#network.putBlob(bytes));
      this.#tickets.set(request, ticket);
      ticket.catch(() => this.#tickets.delete(request));
    }
    return encodeTicket(await ticket);
  }

  async #encode(trainer: Trainer, request: string): Promise<Uint8Array> {
    if (request === "config") {
      return encodeModelConfig({
        config: trainer.files.config,
        tokenizer: trainer.files.tokenizer ?? "",
        parameterNames: trainer.parameters.map((parameter) => parameter.name),
      });
    }
    const name = request.startsWith("parameter:") ? request.slice(10) : "";
    if (!trainer.parameters.some((parameter) => parameter.name === name)) {
      throw new PsycheError("MODEL_PARAMETER_UNKNOWN", `There is no parameter "${name}" to share.`);
    }
    const values = await trainer.parameter(name);
    return encodeModelParameter({ name, bytes: new Uint8Array(values.buffer) });
  }
}

/**
 * SHA-256 of the weights that most of the peers hold, hex; null when none answers. On a tie the
 * smallest hash wins, so that all who ask decide alike.
 */
export async function weightsOfMajority(
  network: PeerNetwork,
  peers: Uint8Array[],
  signal: AbortSignal,
): Promise<string | null> {
  const answers = await Promise.allSettled(
    peers.map((peer) => network.request(peer, encoder.encode("weights"), { maxSize: 64, signal })),
  );
  const votes = new Map<string, number>();
  for (const answer of answers) {
    if (answer.status !== "fulfilled") continue;
    const hash = decoder.decode(answer.value);
    if (/^[0-9a-f]{64}$/.test(hash)) votes.set(hash, (votes.get(hash) ?? 0) + 1);
  }
  const ranked = [...votes].sort(([a, m], [b, n]) => n - m || (a < b ? -1 : 1));
  return ranked[0]?.[0] ?? null;
}

/**
 * Fetches the model from the epoch's other members.
 *
 * @param peers p2p keys of the members that may hold it
 * @throws PsycheError `MODEL_NOT_AVAILABLE` when no peer can deliver a complete model
 */
export async function fetchModel(
  network: PeerNetwork,
  peers: Uint8Array[],
  signal: AbortSignal,
): Promise<SharedModel> {
  const fetch = async (request: string, maxSize: number): Promise<Uint8Array> => {
    let last: unknown;
    for (const peer of peers) {
      signal.throwIfAborted();
      try {
        const answer = await network.request(peer, encoder.encode(request), {
          maxSize: TICKET_SIZE,
          signal,
        });
        return await network.fetchBlob(decodeTicket(answer), {
          providers: [peer, ...peers.filter((other) => other !== peer)],
          maxSize,
          signal,
        });
      } catch (error) {
        last = error;
      }
    }
    throw new PsycheError(
      "MODEL_NOT_AVAILABLE",
      `None of ${peers.length} peers could deliver "${request}" of the model; this client tries ` +
        "again at the next epoch.",
      { cause: last },
    );
  };

  const config = decodeModelConfig(await fetch("config", MAX_CONFIG_SIZE));
  const parameters = new Map<string, Float32Array<ArrayBuffer>>();
  const names = [...config.parameterNames];
  const worker = async () => {
    for (let name = names.pop(); name !== undefined; name = names.pop()) {
      const parameter = decodeModelParameter(await fetch(`parameter:${name}`, MAX_PARAMETER_SIZE));
      if (parameter.name !== name || parameter.bytes.length % 4 !== 0) {
        throw new PsycheError(
          "MODEL_PARAMETER_INVALID",
          `A peer answered the request for parameter "${name}" with "${parameter.name}".`,
        );
      }
      parameters.set(name, new Float32Array(parameter.bytes.slice().buffer));
    }
  };
  await Promise.all(Array.from({ length: PARALLEL_PARAMETERS }, worker));
  return {
    files: { config: config.config, tokenizer: config.tokenizer || null },
    parameters,
  };
}

function encodeTicket(ticket: BlobTicket): Uint8Array {
  const bytes = new Uint8Array(TICKET_SIZE);
  bytes.set(ticket.hash);
  new DataView(bytes.buffer).setBigUint64(32, BigInt(ticket.size), true);
  return bytes;
}

function decodeTicket(bytes: Uint8Array): BlobTicket {
  if (bytes.length !== TICKET_SIZE) {
    throw new PsycheError(
      "MODEL_TICKET_INVALID",
      `A peer answered a model request with ${bytes.length} bytes instead of ${TICKET_SIZE}.`,
    );
  }
  const size = new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(32, true);
  return { hash: bytes.slice(0, 32), size: Number(size) };
}
