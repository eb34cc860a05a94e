/**
 * Which files an `Http` data location means: docs/protocol/training-math.md section 6.4.
 */
import { PsycheError } from "../../error.ts";
import type { HttpLocation } from "../../protocol/coordinator_state.ts";
import { concurrently } from "./concurrently.ts";
import { fileSize, type HttpOptions, jsonDocument } from "./http_request.ts";
import { TOKEN_FILE_NAME } from "./token_file_provider.ts";

export interface RemoteFile {
  url: string;
  /** Bytes. */
  size: number;
}

const MAX_FILES = 100_000;
const MAX_LISTING_BYTES = 64 * 2 ** 20;
const GCS_API = "https://storage.googleapis.com/storage/v1/b/";

/**
 * The files of a location in order, with their sizes (HEAD requests, three at a time; for a bucket
 * from its anonymous listing).
 *
 * @throws PsycheError `DATA_LOCATION_INVALID` for a URL or template that cannot work,
 * `DATA_UNAVAILABLE` when a request fails
 */
export async function listRemoteFiles(
  location: HttpLocation,
  options: HttpOptions,
  signal?: AbortSignal,
): Promise<RemoteFile[]> {
  if (location.kind === "Gcp") return await listBucket(location, options, signal);
  const urls = location.kind === "SingleUrl"
    ? [checkUrl(location.url)]
    : numberedUrls(location).map(checkUrl);
  const sizes = await concurrently(urls, 3, (url, stop) => fileSize(url, options, stop), signal);
  return urls.map((url, i) => ({ url, size: sizes[i] }));
}

/** URLs of numbered files: the template's one `{}` becomes the number, padded with zeros. */
export function numberedUrls(
  location: Extract<HttpLocation, { kind: "NumberedFiles" }>,
): string[] {
  const { urlTemplate, startIndex, nLeftPadZeros, numFiles } = location;
  const parts = urlTemplate.split("{}");
  if (parts.length !== 2 || numFiles < 1 || numFiles > MAX_FILES) {
    throw new PsycheError(
      "DATA_LOCATION_INVALID",
      `The template ${urlTemplate} for ${numFiles} files must contain {} exactly once and stand for 1 to ${MAX_FILES} files; correct data_location.`,
    );
  }
  return Array.from({ length: numFiles }, (_, i) => {
    return parts.join(String(startIndex + i).padStart(nLeftPadZeros, "0"));
  });
}

async function listBucket(
  { bucketName, filterDirectory }: Extract<HttpLocation, { kind: "Gcp" }>,
  options: HttpOptions,
  signal?: AbortSignal,
): Promise<RemoteFile[]> {
  const files: RemoteFile[] = [];
  let pageToken = "";
  do {
    const query = new URLSearchParams({
      prefix: filterDirectory,
      fields: "items(name,size,mediaLink),nextPageToken",
      ...(pageToken === "" ? {} : { pageToken }),
    });
    const url = `${GCS_API}${encodeURIComponent(bucketName)}/o?${query}`;
    const page = await jsonDocument(url, MAX_LISTING_BYTES, options, signal) as {
      items?: { name?: unknown; size?: unknown; mediaLink?: unknown }[];
      nextPageToken?: unknown;
    } | null;
    for (const { name, size, mediaLink } of page?.items ?? []) {
      if (!TOKEN_FILE_NAME.test(String(name))) continue;
      files.push({ url: checkUrl(String(mediaLink)), size: Number(size) });
    }
    pageToken = typeof page?.nextPageToken === "string" ? page.nextPageToken : "";
  } while (pageToken !== "" && files.length <= MAX_FILES);
  const broken = files.find(({ size }) => !Number.isSafeInteger(size) || size < 0);
  if (broken !== undefined || files.length === 0 || files.length > MAX_FILES) {
    throw new PsycheError(
      "DATA_LOCATION_INVALID",
      `Bucket ${bucketName} lists ${files.length} token files under "${filterDirectory}" (npy, bin or ds, at most ${MAX_FILES}); correct data_location or the bucket.`,
    );
  }
  return files.sort((a, b) => a.url < b.url ? -1 : a.url > b.url ? 1 : 0);
}

/**
 * The URL itself when it is http or https.
 *
 * @throws PsycheError `DATA_LOCATION_INVALID`
 */
export function checkUrl(url: string): string {
  const protocol = URL.canParse(url) ? new URL(url).protocol : "";
  if (protocol !== "http:" && protocol !== "https:") {
    throw new PsycheError(
      "DATA_LOCATION_INVALID",
      `${url} is not an http or https URL; correct data_location.`,
    );
  }
  return url;
}
