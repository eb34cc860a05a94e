/**
 * Token files on web servers, read by byte ranges: docs/protocol/training-math.md sections 6.2 to 6.4.
 */
import type { DataLocation } from "../../protocol/coordinator_state.ts";
import type { DataProvider, TokenFormat } from "./data_provider.ts";
import { listRemoteFiles } from "./http_location.ts";
import { fileRange, type HttpOptions } from "./http_request.ts";
import { type RetryOptions, withRetries } from "./retries.ts";
import { sequenceIndex } from "./sequence_index.ts";
import { tokenFileProvider } from "./token_file_provider.ts";

export type HttpDataLocation = Extract<DataLocation, { kind: "Http" }>;

/** What stays the same for all remote data of a client. */
export interface HttpProviderOptions extends HttpOptions, Omit<RetryOptions, "signal"> {}

/**
 * Finds the files and their sizes. Failing requests are repeated, here and in `read`, before
 * `DATA_UNAVAILABLE` is thrown.
 *
 * @throws PsycheError `DATA_LOCATION_INVALID`, `DATA_UNAVAILABLE`
 */
export async function httpProvider(
  { location, tokenSizeInBytes, shuffle }: HttpDataLocation,
  { sequenceLength, maxToken }: Omit<TokenFormat, "tokenBytes">,
  options: HttpProviderOptions,
  signal?: AbortSignal,
): Promise<DataProvider> {
  const tokenBytes = tokenSizeInBytes === "TwoBytes" ? 2 : 4;
  const files = await withRetries(
    () => listRemoteFiles(location, options, signal),
    { ...options, signal },
  );
  const sizes = files.map(({ size }) => size);
  const sequenceBytes = sequenceLength * tokenBytes;
  const index = sequenceIndex(sizes, sequenceBytes, sequenceBytes + tokenBytes, shuffle);
  const read = (file: number, start: number, length: number, stop: AbortSignal) =>
    withRetries(
      () => fileRange(files[file].url, start, length, options, stop),
      { ...options, signal: stop },
    );
  return tokenFileProvider({ sizes, read }, index, { sequenceLength, tokenBytes, maxToken });
}
