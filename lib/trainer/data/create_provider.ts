/**
 * The data provider of a run: docs/protocol/run-config.md section 3.2.
 */
import { PsycheError } from "../../error.ts";
import type { DataLocation } from "../../protocol/coordinator_state.ts";
import type { DataProvider } from "./data_provider.ts";
import { dummyProvider } from "./dummy_provider.ts";
import { httpProvider, type HttpProviderOptions } from "./http_provider.ts";
import { weightedProvider } from "./weighted_provider.ts";

export interface CreateProviderOptions extends HttpProviderOptions {
  signal?: AbortSignal;
  /** Largest token id to accept, normally vocabulary size minus one. */
  maxToken?: number;
}

/**
 * Opens the data of a run for sequences of `maxSeqLen` tokens.
 *
 * `Dummy` gives zero tokens of the run's own sequence length. `Server`, `Local` and `Preprocessed`
 * are refused: they need a data server, the same files on every machine, or a parquet reader.
 *
 * @throws PsycheError `DATA_LOCATION_UNSUPPORTED`, `DATA_LOCATION_INVALID`, `DATA_UNAVAILABLE`
 */
export async function createProvider(
  location: DataLocation,
  maxSeqLen: number,
  { signal, maxToken, ...options }: CreateProviderOptions,
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
    case "Preprocessed":
      throw unsupported(`Preprocessed (${location.path})`);
  }
}

function unsupported(what: string): PsycheError {
  return new PsycheError(
    "DATA_LOCATION_UNSUPPORTED",
    `The data location ${what} is not supported by this client; serve the token files over HTTP and use Http.`,
  );
}
