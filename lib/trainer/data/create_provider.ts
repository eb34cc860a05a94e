/**
 * The data provider of a run: docs/protocol/run-config.md section 3.2.
 */
import { PsycheError } from "../../error.ts";
import type { DataLocation } from "../../protocol/coordinator_state.ts";
import type { DataProvider } from "./data_provider.ts";
import type { HubOptions } from "../hub/hub_download.ts";
import { dummyProvider } from "./dummy_provider.ts";
import { httpProvider, type HttpProviderOptions } from "./http_provider.ts";
import { type DataServerClient, serverProvider } from "./server_provider.ts";
import { weightedProvider } from "./weighted_provider.ts";

export interface CreateProviderOptions extends HttpProviderOptions {
  /** For `Preprocessed` data that is a Hugging Face dataset; without it only directories are read. */
  hub?: HubOptions;
  /** For `Server` data: who asks; without it such data is refused. */
  client?: DataServerClient;
  signal?: AbortSignal;
  /** Largest token id to accept, normally vocabulary size minus one. */
  maxToken?: number;
}

/**
 * Opens the data of a run for sequences of `maxSeqLen` tokens.
 *
 * `Dummy` gives zero tokens of the run's own sequence length. `Preprocessed` is a directory, or a
 * dataset of the Hugging Face Hub. `Local` is refused: the members of a run would each need the same
 * files (`localProvider` reads them where nobody else has to, and a data server serves them).
 *
 * @throws PsycheError `DATA_LOCATION_UNSUPPORTED`, `DATA_LOCATION_INVALID`, `DATA_UNAVAILABLE`, and
 * for `Preprocessed` the errors of `preprocessedProvider` and `hubSnapshot`
 */
export async function createProvider(
  location: DataLocation,
  maxSeqLen: number,
  { signal, maxToken, hub, client, ...options }: CreateProviderOptions,
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
      if (client) return await serverProvider(location.address, format, client, options, signal);
      throw unsupported(
        `Server (${location.address}) is only for members of the run, who are known by their key; use train.`,
      );
    case "Local":
      throw unsupported(`Local (${location.path}): ${NOT_LOCAL}.`);
    case "Preprocessed": {
      // Only runs with such data load the parquet reader.
      const { preprocessedProvider } = await import("./preprocessed_provider.ts");
      const { resolveDatasetDirectory } = await import("../hub/resolve_dataset.ts");
      const directory = await resolveDatasetDirectory(location.path, hub && { ...hub, signal });
      return await preprocessedProvider(directory, format, signal);
    }
  }
}

/** Why clients refuse `Local` data, and what to do. */
export const NOT_LOCAL =
  "a directory may differ from machine to machine, so clients of a run do not " +
  'read it: serve it with `deno task data-server` and set data_location = { Server = "<host>:20001" }';

function unsupported(what: string): PsycheError {
  return new PsycheError("DATA_LOCATION_UNSUPPORTED", `The data location ${what}`);
}
