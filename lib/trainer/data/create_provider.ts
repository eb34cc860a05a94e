/**
 * The data provider of a run: docs/protocol/run-config.md section 3.2.
 */
import { PsycheError } from "../../error.ts";
import type { DataLocation } from "../../protocol/coordinator_state.ts";
import type { DataProvider } from "./data_provider.ts";
import type { HubOptions } from "../hub/hub_download.ts";
import { dummyProvider } from "./dummy_provider.ts";
import { httpProvider, type HttpProviderOptions } from "./http_provider.ts";
import { weightedProvider } from "./weighted_provider.ts";

export interface CreateProviderOptions extends HttpProviderOptions {
  /** For `Preprocessed` data that is a Hugging Face dataset; without it only directories are read. */
  hub?: HubOptions;
  signal?: AbortSignal;
  /** Largest token id to accept, normally vocabulary size minus one. */
  maxToken?: number;
}

/**
 * Opens the data of a run for sequences of `maxSeqLen` tokens.
 *
 * `Dummy` gives zero tokens of the run's own sequence length. `Preprocessed` is a directory, or a
 * dataset of the Hugging Face Hub. `Server` and `Local` are refused: they need a data server, or the
 * same files on every machine (`localProvider` reads those where there is only one).
 *
 * @throws PsycheError `DATA_LOCATION_UNSUPPORTED`, `DATA_LOCATION_INVALID`, `DATA_UNAVAILABLE`, and
 * for `Preprocessed` the errors of `preprocessedProvider` and `hubSnapshot`
 */
export async function createProvider(
  location: DataLocation,
  maxSeqLen: number,
  { signal, maxToken, hub, ...options }: CreateProviderOptions,
): Promise<DataProvider> {
  const format = { sequenceLength: maxSeqLen, maxToken };
  switch (location.kind) {
    case "Dummy":
      return dummyProvider(maxSeqLen);
    case "Http":
      return await httpProvider(location, format, options, signal);
    case "WeightedHttp":
      return await weightedProvider(location.url, format, options, signal);
    case "Server":
      throw unsupported(`Server (${location.address})`);
    case "Local":
      throw unsupported(`Local (${location.path})`);
    case "Preprocessed": {
      // Only runs with such data load the parquet reader.
      const { preprocessedProvider } = await import("./preprocessed_provider.ts");
      const { resolveDatasetDirectory } = await import("../hub/resolve_dataset.ts");
      const directory = await resolveDatasetDirectory(location.path, hub && { ...hub, signal });
      return await preprocessedProvider(directory, format, signal);
    }
  }
}

function unsupported(what: string): PsycheError {
  return new PsycheError(
    "DATA_LOCATION_UNSUPPORTED",
    `The data location ${what} is not supported by this client; serve the token files over HTTP and use Http.`,
  );
}
