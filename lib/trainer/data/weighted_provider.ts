/**
 * A weighted mixture of web data sources: docs/protocol/training-math.md section 6.5.
 */
import { PsycheError } from "../../error.ts";
import type { HttpLocation, Shuffle } from "../../protocol/coordinator_state.ts";
import { ChaCha8 } from "../../protocol/rand_shuffle.ts";
import { concurrently } from "./concurrently.ts";
import { batchRange, type DataProvider, type Samples, type TokenFormat } from "./data_provider.ts";
import { checkUrl } from "./http_location.ts";
import { type HttpDataLocation, httpProvider, type HttpProviderOptions } from "./http_provider.ts";
import { jsonDocument } from "./http_request.ts";
import { withRetries } from "./retries.ts";

const MAX_DOCUMENT_BYTES = 2 ** 20;
const MAX_PROVIDERS = 256;
/** The mixture is two arrays in memory, 6 bytes a sequence. */
const MAX_SEQUENCES = 2 ** 28;
/** Providers read at the same time for one batch; each reads several ranges at once itself. */
const CONCURRENT_PROVIDERS = 4;

/** Content of the JSON document at the run's URL. */
export interface Mixture {
  shuffle: Shuffle;
  sources: HttpDataLocation[];
  /** One per source, or null: then the number of sequences of each counts. */
  weights: number[] | null;
}

/**
 * Loads the mixture at `url` and opens its sources.
 *
 * @throws PsycheError `DATA_LOCATION_INVALID`, `DATA_UNAVAILABLE`
 */
export async function weightedProvider(
  url: string,
  format: Omit<TokenFormat, "tokenBytes">,
  options: HttpProviderOptions,
  signal?: AbortSignal,
): Promise<DataProvider> {
  checkUrl(url);
  const document = await withRetries(
    () => jsonDocument(url, MAX_DOCUMENT_BYTES, options, signal),
    { ...options, signal },
  );
  const mixture = parseMixture(document);
  const providers = await concurrently(
    mixture.sources,
    CONCURRENT_PROVIDERS,
    (source, stop) => httpProvider(source, format, options, stop),
    signal,
  );
  return mixedProvider(providers, mixture, format.sequenceLength);
}

/** Provider that draws from others by weight. */
export function mixedProvider(
  providers: readonly DataProvider[],
  { weights, shuffle }: Pick<Mixture, "weights" | "shuffle">,
  sequenceLength: number,
): DataProvider {
  const sizes = providers.map(({ sequences }) => sequences);
  const order = mixtureOrder(sizes, weights ?? sizes, shuffle);
  const shape = { sequences: order.samples.length, sequenceLength };

  async function read(
    batch: Parameters<DataProvider["read"]>[0],
    signal?: AbortSignal,
  ): Promise<Samples> {
    const { first, count } = batchRange(batch, shape);
    const tokens = new Int32Array(count * sequenceLength);
    const runs: { row: number; count: number; provider: number; sample: number }[] = [];
    for (let row = 0; row < count; row++) {
      const provider = order.providers[first + row];
      const sample = order.samples[first + row];
      const last = runs.at(-1);
      if (last?.provider === provider && last.sample + last.count === sample) last.count++;
      else runs.push({ row, count: 1, provider, sample });
    }
    await concurrently(runs, CONCURRENT_PROVIDERS, async (run, stop) => {
      const interval = { start: BigInt(run.sample), end: BigInt(run.sample + run.count - 1) };
      const part = await providers[run.provider].read(interval, stop);
      tokens.set(part.tokens, run.row * sequenceLength);
    }, signal);
    return { tokens };
  }
  return { ...shape, read };
}

/**
 * Which provider and which of its samples stands at every index. Each place goes to the provider
 * that is furthest behind its weight; a provider that is used up starts again.
 *
 * @throws PsycheError `DATA_LOCATION_INVALID` when the mixture is too large
 */
export function mixtureOrder(
  sizes: readonly number[],
  weights: readonly number[],
  shuffle: Shuffle,
): { providers: Uint16Array; samples: Uint32Array } {
  const total = sizes.reduce((a, b) => a + b, 0);
  if (total > MAX_SEQUENCES) throw invalid(`${total} sequences are more than ${MAX_SEQUENCES}`);
  const sum = weights.reduce((a, b) => a + b, 0);
  const shares = weights.map((weight) => weight / sum);
  const drawn = sizes.map(() => 0);
  const providers = new Uint16Array(total);
  const samples = new Uint32Array(total);
  for (let k = 0; k < total; k++) {
    let best = -1;
    let bestLag = -Infinity;
    for (let i = 0; i < sizes.length; i++) {
      const lag = shares[i] * Math.max(k, 1) - drawn[i];
      if (sizes[i] > 0 && lag > bestLag) {
        best = i;
        bestLag = lag;
      }
    }
    providers[k] = best;
    samples[k] = drawn[best]++ % sizes[best];
  }
  if (shuffle.kind === "Seeded") {
    const random = new ChaCha8(shuffle.seed);
    for (let i = total - 1; i >= 1; i--) {
      const j = random.below(i + 1);
      [providers[i], providers[j]] = [providers[j], providers[i]];
      [samples[i], samples[j]] = [samples[j], samples[i]];
    }
  }
  return { providers, samples };
}

/**
 * Checks and decodes the JSON of a mixture: `providers` is a list of Http tables, or of pairs of such
 * a table and its weight.
 *
 * @throws PsycheError `DATA_LOCATION_INVALID`
 */
export function parseMixture(document: unknown): Mixture {
  const { shuffle, providers } = record(document, "the document");
  if (!Array.isArray(providers) || providers.length < 1 || providers.length > MAX_PROVIDERS) {
    throw invalid(`providers is not a list of 1 to ${MAX_PROVIDERS} entries`);
  }
  const paired = providers.every(Array.isArray);
  const weights = paired ? providers.map((pair) => pair[1]) : null;
  const usable = weights?.every((weight) => Number.isFinite(weight) && weight >= 0) ?? true;
  if (!usable || weights?.every((weight) => weight === 0)) {
    throw invalid("the weights are not numbers from 0 up with a positive sum");
  }
  return {
    shuffle: parseShuffle(shuffle),
    sources: providers.map((entry) => parseSource(paired ? entry[0] : entry)),
    weights,
  };
}

function parseSource(value: unknown): HttpDataLocation {
  const { location, token_size_in_bytes: size, shuffle } = record(value, "a provider");
  if (size !== "TwoBytes" && size !== "FourBytes") {
    throw invalid(`token_size_in_bytes is ${JSON.stringify(size)}, not TwoBytes or FourBytes`);
  }
  return {
    kind: "Http",
    location: parseLocation(record(location, "a location")),
    tokenSizeInBytes: size,
    shuffle: parseShuffle(shuffle),
  };
}

function parseLocation(value: Record<string, unknown>): HttpLocation {
  if (typeof value.SingleUrl === "string") return { kind: "SingleUrl", url: value.SingleUrl };
  if (value.NumberedFiles !== undefined) {
    const numbered = record(value.NumberedFiles, "NumberedFiles");
    const count = (field: string) => {
      const n = numbered[field];
      if (Number.isInteger(n) && (n as number) >= 0 && (n as number) < 2 ** 32) return n as number;
      throw invalid(`${field} is ${JSON.stringify(n)}, not a count`);
    };
    return {
      kind: "NumberedFiles",
      urlTemplate: String(numbered.url_template),
      startIndex: count("start_index"),
      nLeftPadZeros: count("n_left_pad_zeros"),
      numFiles: count("num_files"),
    };
  }
  const { bucket_name: bucketName, filter_directory: filterDirectory } = record(
    value.Gcp,
    "a location other than SingleUrl and NumberedFiles",
  );
  if (typeof bucketName !== "string" || typeof filterDirectory !== "string") {
    throw invalid("Gcp needs bucket_name and filter_directory");
  }
  return { kind: "Gcp", bucketName, filterDirectory };
}

function parseShuffle(value: unknown): Shuffle {
  if (value === "DontShuffle") return { kind: "DontShuffle" };
  const seed = record(value, "shuffle").Seeded;
  const isByte = (n: unknown) => Number.isInteger(n) && (n as number) >= 0 && (n as number) < 256;
  if (!Array.isArray(seed) || seed.length !== 32 || !seed.every(isByte)) {
    throw invalid("shuffle is neither DontShuffle nor Seeded with 32 bytes");
  }
  return { kind: "Seeded", seed: Uint8Array.from(seed) };
}

function record(value: unknown, what: string): Record<string, unknown> {
  if (typeof value === "object" && value !== null && !Array.isArray(value)) {
    return value as Record<string, unknown>;
  }
  throw invalid(`${what} is not an object`);
}

function invalid(reason: string): PsycheError {
  return new PsycheError(
    "DATA_LOCATION_INVALID",
    `The weighted data mixture cannot be used: ${reason}; correct its JSON document.`,
  );
}
