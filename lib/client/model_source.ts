import { setTimeout as sleep } from "node:timers/promises";
import { PsycheError } from "../error.ts";
import type { EventSink } from "../events/event.ts";
import type { PeerNetwork } from "../p2p/peer_network.ts";
import type { Checkpoint, CoordinatorState, Model } from "../protocol/coordinator_state.ts";
import { maxDistroResultSize } from "../protocol/distro_result_codec.ts";
import { distroLayout } from "../trainer/distro/layout.ts";
import { checkpointPlace } from "../trainer/resolve_checkpoint.ts";
import type { Trainer, TrainerOptions } from "../trainer/trainer.ts";
import { fetchModel, ModelServer, weightsOfMajority } from "./model_sharing.ts";
import type { ResultFormat } from "./result_exchange.ts";
import { tellLoading } from "./tell_loading.ts";

/** Where a client's trainer comes from, epoch after epoch. */
export interface ModelSource {
  /** False when something can and should be loaded before joining. */
  ready(state: CoordinatorState): boolean;
  /** Loads it. */
  prepare(state: CoordinatorState, signal: AbortSignal): Promise<void>;
  /**
   * The trainer with the weights that the epoch starts from.
   *
   * @param warmupOver aborted when the epoch begins without this client: peers need not be asked then
   * @throws PsycheError `MODEL_...` when this epoch has to go on without this client
   */
  load(state: CoordinatorState, signal: AbortSignal, warmupOver: AbortSignal): Promise<Trainer>;
  /** The weights are about to change: stop serving them. */
  trainingBegins(): void;
  /**
   * The trainer holds the weights that the next epoch starts from.
   *
   * @param step the run's step by then; an epoch that starts at another one starts from other weights
   */
  epochEnded(trainer: Trainer, step: number): void;
  /** The weights differ from the other members'; take fresh ones next time. */
  discard(): void;
  /** Answers a peer's direct request for the model. */
  answer(request: string): Promise<Uint8Array>;
  /** What results look like. Only after `load`. */
  resultFormat(): ResultFormat;
  close(): Promise<void>;
}

export interface RunModelOptions {
  network: PeerNetwork;
  createTrainer: (options: TrainerOptions) => Promise<Trainer>;
  /** Directory of a checkpoint's files, e.g. the local path that its repo id names. */
  resolveDirectory: (checkpoint: Checkpoint, signal: AbortSignal) => Promise<string>;
  /** Names and shapes of the parameters of a model with this config.json. */
  parameterShapes: (config: string) => { name: string; shape: number[] }[];
  microBatchSize: number;
  threads: number;
  /** As in `TrainerOptions`. */
  device?: TrainerOptions["device"];
  /** As in `TrainerOptions`. */
  dataParallelism?: number;
  /** As in `TrainerOptions`. */
  longestText?: number;
  emit: EventSink;
}

/** Pause between two attempts to get the model from peers, milliseconds. */
const RETRY_MILLISECONDS = 500;

/**
 * The run's model: from the checkpoint's files at the beginning, kept in memory from epoch to epoch,
 * from peers when this client missed something. Whether kept weights are the right ones is asked of
 * the peers at each epoch start. docs/protocol/client-lifecycle.md sections 4, 5.5 and 8.5.
 */
export class RunModel implements ModelSource {
  readonly #options: RunModelOptions;
  readonly #server: ModelServer;
  #trainer: Trainer | null = null;
  /** What the weights of `#trainer` are: an untouched checkpoint, an epoch's at that step, or outdated. */
  #origin:
    | { kind: "checkpoint"; source: string }
    | { kind: "epoch"; step: number }
    | { kind: "outdated" } = { kind: "outdated" };
  #format: ResultFormat | null = null;
  /** Settings that `#trainer` was made with. */
  #settings = "";

  constructor(options: RunModelOptions) {
    this.#options = options;
    this.#server = new ModelServer(options.network);
  }

  ready(state: CoordinatorState): boolean {
    const { checkpoint } = state.model;
    return checkpoint.kind === "P2P" || checkpoint.kind === "P2PGcs" || this.#trainer !== null;
  }

  async prepare(state: CoordinatorState, signal: AbortSignal): Promise<void> {
    await this.#loadCheckpoint(state.model, signal);
  }

  async load(
    state: CoordinatorState,
    signal: AbortSignal,
    warmupOver: AbortSignal,
  ): Promise<Trainer> {
    const { kind } = state.model.checkpoint;
    const trainer = kind === "P2P" || kind === "P2PGcs"
      ? await this.#keepOrFetch(state, signal, warmupOver)
      : await this.#loadCheckpoint(state.model, signal);
    this.#format = resultFormat(trainer, state.model);
    this.#server.offer(trainer);
    return trainer;
  }

  trainingBegins(): void {
    this.#server.reset();
    this.#origin = { kind: "outdated" };
  }

  epochEnded(trainer: Trainer, step: number): void {
    if (trainer === this.#trainer) this.#origin = { kind: "epoch", step };
  }

  discard(): void {
    this.#server.reset();
    this.#origin = { kind: "outdated" };
  }

  answer(request: string): Promise<Uint8Array> {
    return this.#server.answer(request);
  }

  resultFormat(): ResultFormat {
    if (!this.#format) {
      throw new PsycheError(
        "MODEL_NOT_LOADED",
        "Results cannot be read before the model is loaded.",
      );
    }
    return this.#format;
  }

  async close(): Promise<void> {
    this.#server.reset();
    await this.#trainer?.close();
  }

  async #loadCheckpoint(model: Model, signal: AbortSignal): Promise<Trainer> {
    const { checkpoint } = model;
    if (checkpoint.kind !== "Hub" && checkpoint.kind !== "Gcs") {
      throw new PsycheError(
        "CHECKPOINT_NOT_SUPPORTED",
        `This client cannot load a ${checkpoint.kind} checkpoint; ask the run's owner for a Hub or Gcs one.`,
      );
    }
    const source = checkpointPlace(checkpoint);
    if (
      this.#trainer && this.#origin.kind === "checkpoint" && this.#origin.source === source &&
      // The owner may have changed them in a pause.
      this.#settings === settingsOf(model)
    ) return this.#trainer;
    const directory = await this.#options.resolveDirectory(checkpoint, signal);
    return await tellLoading(this.#options.emit, source, async () => {
      const trainer = await this.#replace(model, { directory }, signal);
      this.#origin = { kind: "checkpoint", source };
      await this.#announce(source, trainer);
      return trainer;
    });
  }

  async #keepOrFetch(
    state: CoordinatorState,
    signal: AbortSignal,
    warmupOver: AbortSignal,
  ): Promise<Trainer> {
    const { network } = this.#options;
    const own = network.publicKey.toHex();
    const peers = state.epochState.clients
      .map((client) => client.id.p2pIdentity)
      .filter((key) => key.toHex() !== own);
    // What a client trains alone nobody else can have, so its weights are right whatever was missed.
    if (this.#trainer && state.model.optimizer.kind === "AdamW") return this.#trainer;
    const { startStep } = state.epochState;
    if (this.#trainer && this.#origin.kind === "epoch" && this.#origin.step === startStep) {
      // Offer first: the others ask at the same time.
      this.#server.offer(this.#trainer);
      const kept = await this.#trainer.weightsSha256();
      if (await weightsOfMajority(network, peers, signal, kept) === kept) return this.#trainer;
      this.#server.reset();
      this.#options.emit({
        type: "warning",
        code: "WEIGHTS_DIFFER",
        message: "The peers hold other weights than this client; it takes theirs.",
      });
    }
    const end = AbortSignal.any([signal, warmupOver]);
    let failure: unknown;
    while (!end.aborted && peers.length > 0) {
      try {
        const trainer = await tellLoading(this.#options.emit, "peers", async (progress) => {
          const { parameterShapes } = this.#options;
          const shared = await fetchModel(network, peers, parameterShapes, end, progress);
          const wanted = await weightsOfMajority(network, peers, end);
          const made = await this.#replace(state.model, shared, signal);
          return wanted === await made.weightsSha256() ? made : null;
        });
        if (trainer !== null) {
          await this.#announce("peers", trainer);
          return trainer;
        }
      } catch (error) {
        signal.throwIfAborted();
        // Of a model that was never here, peers could give the whole again and again for nothing.
        if (this.#settings === "" && isTooLarge(error)) throw error;
        failure = error;
      }
      await sleep(RETRY_MILLISECONDS, undefined, { signal: end }).catch(() => {});
    }
    signal.throwIfAborted();
    throw notAvailable(peers.length, failure);
  }

  async #replace(
    model: Model,
    source: TrainerOptions["model"],
    signal: AbortSignal,
  ): Promise<Trainer> {
    const old = this.#trainer;
    this.#trainer = null;
    this.#origin = { kind: "outdated" };
    await old?.close();
    this.#trainer = await this.#options.createTrainer({
      model: source,
      sequenceLength: model.maxSeqLen,
      microBatchSize: this.#options.microBatchSize,
      optimizer: model.optimizer,
      threads: this.#options.threads,
      device: this.#options.device,
      dataParallelism: this.#options.dataParallelism,
      longestText: this.#options.longestText,
      signal,
    });
    this.#settings = settingsOf(model);
    return this.#trainer;
  }

  async #announce(source: string, trainer: Trainer): Promise<void> {
    this.#options.emit({
      type: "model_loaded",
      source,
      parameters: Number(trainer.numParameters),
      device: trainer.devices.join(","),
      weights_sha256: await trainer.weightsSha256(),
    });
  }
}

export function isTooLarge(error: unknown): boolean {
  return error instanceof PsycheError && error.code === "MODEL_TOO_LARGE";
}

/** What a trainer is made for, besides the weights. */
function settingsOf({ maxSeqLen, optimizer }: Model): string {
  return JSON.stringify([maxSeqLen, optimizer]);
}

function notAvailable(peers: number, cause: unknown): PsycheError {
  const reason = cause instanceof Error ? ` (${cause.message})` : "";
  return new PsycheError(
    "MODEL_NOT_AVAILABLE",
    `None of the epoch's other ${peers} members gave this client the model before the warmup was ` +
      `over${reason}; it tries again at the next epoch.`,
    { cause },
  );
}

/**
 * The only form that results of this model can have, training-math.md sections 3.1 and 3.5 to 3.7;
 * those of AdamW are empty (section 4).
 *
 * @throws PsycheError `OPTIMIZER_NOT_SUPPORTED` for the optimizer Dummy
 */
export function resultFormat(
  trainer: Pick<Trainer, "parameters">,
  model: Pick<Model, "optimizer">,
): ResultFormat {
  const { optimizer } = model;
  if (optimizer.kind === "AdamW") return { expected: [], maxResultSize: maxDistroResultSize([]) };
  if (optimizer.kind === "Dummy") {
    throw new PsycheError(
      "OPTIMIZER_NOT_SUPPORTED",
      "The optimizer Dummy trains nothing; ask the run's owner for Distro or AdamW.",
    );
  }
  const expected = trainer.parameters.map(({ shape }) => {
    const layout = distroLayout(shape, {
      chunk: optimizer.compressionChunk,
      topk: optimizer.compressionTopk,
    });
    return {
      xshape: layout.xshape,
      totalk: layout.totalk,
      k: layout.k,
      oneBit: optimizer.quantize1bit,
    };
  });
  return { expected, maxResultSize: maxDistroResultSize(expected) };
}
