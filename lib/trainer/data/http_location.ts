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
/** A page holds up to 1000 objects. */
const MAX_PAGES = 1000;
const MAX_LISTING_BYTES = 64 * 2 ** 20;
const GCS_URL = "https://storage.googleapis.com";

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
  for (let pages = 0;; pages++) {
    const query = new URLSearchParams({
      prefix: filterDirectory,
      fields: "items(name,size,mediaLink),nextPageToken",
      ...(pageToken === "" ? {} : { pageToken }),
    });
    const bucket = `${options.gcsUrl ?? GCS_URL}/storage/v1/b/${encodeURIComponent(bucketName)}`;
    const url = `${bucket}/o?${query}`;
    const page = listingPage(await jsonDocument(url, MAX_LISTING_BYTES, options, signal));
    if (page === null || files.length > MAX_FILES || pages === MAX_PAGES) {
      throw invalidBucket(bucketName, page === null ? "answers with no listing" : "is too large");
    }
    files.push(...page.files);
    if (page.nextPageToken === "") break;
    pageToken = page.nextPageToken;
  }
  const broken = files.some(({ size }) => !Number.isSafeInteger(size) || size < 0);
  if (broken || files.length === 0 || files.length > MAX_FILES) {
    throw invalidBucket(
      bucketName,
      `lists ${files.length} token files under "${filterDirectory}"${
        broken ? " without sizes" : ""
      }`,
    );
  }
  return files.sort((a, b) => a.url < b.url ? -1 : a.url > b.url ? 1 : 0);
}

/** The token files of one page, or null when it is no page. */
function listingPage(document: unknown): { files: RemoteFile[]; nextPageToken: string } | null {
  if (typeof document !== "object" || document === null) return null;
  const { items = [], nextPageToken = "" } = document as Record<string, unknown>;
  if (!Array.isArray(items) || typeof nextPageToken !== "string") return null;
  const files: RemoteFile[] = [];
  for (const item of items) {
    const { name, size, mediaLink } = item ?? {};
    if (!TOKEN_FILE_NAME.test(String(name))) continue;
    const bytes = typeof size === "string" && /^\d{1,15}$/.test(size) ? Number(size) : NaN;
    files.push({ url: checkUrl(String(mediaLink)), size: bytes });
  }
  return { files, nextPageToken };
}

function invalidBucket(bucket: string, what: string): PsycheError {
  return new PsycheError(
    "DATA_LOCATION_INVALID",
    `Bucket ${bucket} ${what} (npy, bin or ds, at most ${MAX_FILES}); correct data_location or the bucket.`,
  );
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
