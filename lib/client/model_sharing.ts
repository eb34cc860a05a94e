import { PsycheError } from "../error.ts";
import type { BlobTicket, PeerNetwork } from "../p2p/peer_network.ts";
import {
  decodeModelConfig,
  decodeModelParameter,
  elements,
  encodeModelConfig,
  encodeModelParameter,
  maxModelParameterSize,
} from "../protocol/model_blobs.ts";
import type { ModelFiles, Trainer } from "../trainer/trainer.ts";
import type { LoadingProgress } from "./tell_loading.ts";

/** A model as peers hand it over. */
export interface SharedModel {
  files: ModelFiles;
  parameters: Map<string, Float32Array<ArrayBuffer>>;
}

/** Largest configuration blob (config.json and tokenizer.json), bytes. */
const MAX_CONFIG_SIZE = 64 << 20;
/** Encoded ticket: 32-byte hash, u64 LE size. */
const TICKET_SIZE = 40;
/** Parameters in flight, client-lifecycle.md section 5.5. */
const PARALLEL_PARAMETERS = 8;

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/**
 * Serves the model to members that join (docs/protocol/client-lifecycle.md section 5.5). Blobs are made
 * on demand and dropped by `reset`.
 */
export class ModelServer {
  readonly #network: PeerNetwork;
  #trainer: Trainer | null = null;
  readonly #tickets = new Map<string, Promise<BlobTicket>>();

  constructor(network: PeerNetwork) {
    this.#network = network;
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

  /**
   * Answers `config`, `parameter:NAME` (a blob ticket) or `weights` (their SHA-256 in hex).
   *
   * @throws PsycheError `MODEL_NOT_SHARED`, `MODEL_PARAMETER_UNKNOWN`
   */
  async answer(request: string): Promise<Uint8Array> {
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
        tokenizer: trainer.files.tokenizer,
        parameterNames: trainer.parameters.map((parameter) => parameter.name),
      });
    }
    const name = request.startsWith("parameter:") ? request.slice(10) : "";
    const parameter = trainer.parameters.find((parameter) => parameter.name === name);
    if (!parameter) {
      throw new PsycheError("MODEL_PARAMETER_UNKNOWN", `There is no parameter "${name}" to share.`);
    }
    return encodeModelParameter({
      name,
      shape: parameter.shape,
      values: await trainer.parameter(name),
    });
  }
}

/**
 * SHA-256 of the weights that most of the members hold, hex; null when none answers. On a tie the
 * smallest hash wins, so that all who ask decide alike: two that ask each other must not both give way.
 *
 * @param own what this client holds and offers itself, if anything
 */
export async function weightsOfMajority(
  network: PeerNetwork,
  peers: Uint8Array[],
  signal: AbortSignal,
  own?: string,
): Promise<string | null> {
  const answers = await Promise.allSettled(
    peers.map((peer) => network.request(peer, encoder.encode("weights"), { maxSize: 64, signal })),
  );
  const votes = new Map<string, number>(own === undefined ? [] : [[own, 1]]);
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
 * @param parameterShapes the parameters that a model with this config.json has
 * @throws PsycheError `MODEL_NOT_AVAILABLE` when no peer can deliver a complete model
 */
export async function fetchModel(
  network: PeerNetwork,
  peers: Uint8Array[],
  parameterShapes: (config: string) => { name: string; shape: number[] }[],
  signal: AbortSignal,
  onProgress?: LoadingProgress,
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

  const { config, tokenizer, parameterNames } = decodeModelConfig(
    await fetch("config", MAX_CONFIG_SIZE),
  );
  // The configuration alone says which parameters there are, so a peer cannot add or enlarge one.
  const expected = parameterShapes(config);
  const named = new Set(parameterNames);
  if (named.size !== expected.length || expected.some(({ name }) => !named.has(name))) {
    throw new PsycheError(
      "MODEL_NOT_AVAILABLE",
      `A peer lists ${named.size} parameters where the model has ${expected.length}; this client ` +
        "tries again with other peers.",
    );
  }
  const parameters = new Map<string, Float32Array<ArrayBuffer>>();
  const missing = [...expected];
  const total = expected.reduce((sum, { shape }) => sum + elements(shape), 0);
  let loaded = 0;
  const worker = async () => {
    for (let next = missing.pop(); next !== undefined; next = missing.pop()) {
      const bytes = await fetch(`parameter:${next.name}`, maxModelParameterSize(next));
      const { values } = decodeModelParameter(bytes, next);
      parameters.set(next.name, values);
      onProgress?.(loaded += values.length, total);
    }
  };
  await Promise.all(Array.from({ length: PARALLEL_PARAMETERS }, worker));
  return { files: { config, tokenizer }, parameters };
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
