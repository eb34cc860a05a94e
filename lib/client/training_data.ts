/** The data of a run, opened for one client: docs/protocol/client-lifecycle.md sections 4 and 7.3. */
import { PsycheError } from "../error.ts";
import type { EventSink } from "../events/event.ts";
import { createSigner } from "../p2p/signing.ts";
import type { BatchId, CoordinatorState } from "../protocol/coordinator_state.ts";
import { dataSpan } from "../protocol/data_span.ts";
import { createProvider } from "../trainer/data/create_provider.ts";
import type { DataProvider, Samples } from "../trainer/data/data_provider.ts";
import type { GcsSettings } from "../trainer/gcs/gcs_access.ts";
import type { HubOptions } from "../trainer/hub/hub_download.ts";
import type { SequenceSource } from "./read_ahead.ts";

/** Data that follow the configuration of the run: its owner may change it while the run is paused. */
export interface DataSource extends SequenceSource {
  /** True when the data that this state's configuration means are open. */
  ready(state: CoordinatorState): boolean;
  /** Opens the data that this state's configuration means, unless they are open. */
  prepare(state: CoordinatorState, signal: AbortSignal): Promise<void>;
}

export interface TrainingDataOptions {
  /** 32-byte ed25519 seed by which a data server knows this client. */
  p2pSecret: Uint8Array;
  hub: HubOptions;
  /** Where buckets are listed, when not at the public service. */
  gcs: Pick<GcsSettings, "gcsUrl">;
  fetch: typeof fetch;
  emit: EventSink;
}

/** {@linkcode DataSource} over the providers of lib/trainer/data. */
export class TrainingData implements DataSource {
  readonly #options: TrainingDataOptions;
  #open: { meaning: string; provider: DataProvider } | null = null;
  /** Warnings of the batch that is being read: the ranges of one batch fail alike, and many at once. */
  readonly #told = new Set<string>();

  constructor(options: TrainingDataOptions) {
    this.#options = options;
  }

  ready(state: CoordinatorState): boolean {
    return this.#open?.meaning === meaningOf(state);
  }

  /**
   * Also says how long the data last. Later failures that are tried again are told as warnings.
   *
   * @throws PsycheError what `createProvider` throws
   */
  async prepare(state: CoordinatorState, signal: AbortSignal): Promise<void> {
    if (this.ready(state)) return;
    this.#open = null;
    const { p2pSecret, hub, gcs, fetch, emit } = this.#options;
    const { model, runId } = state;
    const provider = await createProvider(model.dataLocation, model.maxSeqLen, {
      fetch,
      hub,
      gcsUrl: gcs.gcsUrl,
      signal,
      client: { runId, ...createSigner(p2pSecret) },
      onRetry: ({ message }, retry) => this.#warn(`${message} (try ${retry + 1} follows)`),
    });
    this.#open = { meaning: meaningOf(state), provider };
    const { sequences, steps, stepsLeft, shortage } = dataSpan(state, provider.sequences);
    emit({ type: "data_ready", sequences, steps, steps_left: stepsLeft });
    if (shortage !== null) emit({ type: "warning", code: "DATA_TOO_SHORT", message: shortage });
  }

  /** @throws PsycheError what the provider throws, `DATA_NOT_OPEN` */
  async read(batch: BatchId, signal?: AbortSignal): Promise<Samples> {
    this.#told.clear();
    if (this.#open) return await this.#open.provider.read(batch, signal);
    throw new PsycheError("DATA_NOT_OPEN", "Data cannot be read before they are opened.");
  }

  #warn(message: string): void {
    if (this.#told.has(message)) return;
    this.#told.add(message);
    this.#options.emit({ type: "warning", code: "DATA_RETRY", message });
  }
}

function meaningOf({ model: { dataLocation, maxSeqLen } }: CoordinatorState): string {
  return JSON.stringify([dataLocation, maxSeqLen]);
}
