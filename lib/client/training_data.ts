/** The data of a run, opened for one client: docs/protocol/client-lifecycle.md sections 4 and 7.3. */
import type { EventSink } from "../events/event.ts";
import { createSigner } from "../p2p/signing.ts";
import type { CoordinatorState } from "../protocol/coordinator_state.ts";
import { dataSpan } from "../protocol/data_span.ts";
import { createProvider } from "../trainer/data/create_provider.ts";
import type { DataProvider } from "../trainer/data/data_provider.ts";
import type { GcsSettings } from "../trainer/gcs/gcs_access.ts";
import type { HubOptions } from "../trainer/hub/hub_download.ts";

export interface TrainingDataOptions {
  state: CoordinatorState;
  /** 32-byte ed25519 seed by which a data server knows this client. */
  p2pSecret: Uint8Array;
  hub: HubOptions;
  /** Where buckets are listed, when not at the public service. */
  gcs: Pick<GcsSettings, "gcsUrl">;
  fetch: typeof fetch;
  emit: EventSink;
}

/**
 * Opens the data and says how long they last. Later failures that are tried again are told as
 * warnings.
 *
 * @throws PsycheError what `createProvider` throws
 */
export async function openTrainingData(
  { state, p2pSecret, hub, gcs, fetch, emit }: TrainingDataOptions,
  signal: AbortSignal,
): Promise<DataProvider> {
  const { model, runId } = state;
  const data = await createProvider(model.dataLocation, model.maxSeqLen, {
    fetch,
    hub,
    gcsUrl: gcs.gcsUrl,
    signal,
    client: { runId, ...createSigner(p2pSecret) },
    onRetry: ({ message }, retry) =>
      emit({
        type: "warning",
        code: "DATA_RETRY",
        message: `${message} (try ${retry + 1} follows)`,
      }),
  });
  const { sequences, steps, stepsLeft, shortage } = dataSpan(state, data.sequences);
  emit({ type: "data_ready", sequences, steps, steps_left: stepsLeft });
  if (shortage !== null) emit({ type: "warning", code: "DATA_TOO_SHORT", message: shortage });
  return data;
}
