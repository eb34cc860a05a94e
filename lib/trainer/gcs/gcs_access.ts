/** How Google Cloud Storage is reached: its JSON API, with a token or as anybody. */
import { join } from "node:path";
import { PsycheError } from "../../error.ts";
import { answerError } from "../answer_error.ts";
import { readBody } from "../read_body.ts";
import {
  GCS_KEY_FILE_VARIABLE,
  GCS_TOKEN_VARIABLE,
  tokensFromEnvironment,
  type TokenSource,
} from "./gcs_token.ts";

export interface GcsAccess {
  fetch: typeof fetch;
  /** Access tokens for buckets that are not public, and for uploads. */
  token?: TokenSource;
  /** Default: the public service. */
  gcsUrl?: string;
}

export interface GcsSettings {
  /** Downloaded checkpoints go below it. */
  cacheDirectory: string;
  token?: TokenSource;
  gcsUrl?: string;
}

const GCS_URL = "https://storage.googleapis.com";
/** Time for an answer that is a small document, milliseconds. */
const TIMEOUT = 30_000;
/** Listings and manifests are smaller. */
const MAX_DOCUMENT_BYTES = 16 << 20;

/**
 * `GOOGLE_OAUTH_ACCESS_TOKEN` or `GOOGLE_APPLICATION_CREDENTIALS` (a key file),
 * `STORAGE_EMULATOR_HOST` (another service), and where the cache is: docs/protocol/client-lifecycle.md section 8.4.
 *
 * @param environment looks a variable up
 */
export function gcsFromEnvironment(
  environment: (name: string) => string | undefined,
): GcsSettings {
  const base = environment("HF_HOME") || environment("XDG_CACHE_HOME") ||
    join(environment("HOME") || environment("USERPROFILE") || ".", ".cache");
  const host = environment("STORAGE_EMULATOR_HOST")?.replace(/\/+$/, "");
  return {
    cacheDirectory: join(base, "psyche", "gcs"),
    token: tokensFromEnvironment(environment),
    gcsUrl: host ? (/^https?:/.test(host) ? host : `http://${host}`) : undefined,
  };
}

/** Address of a request below the bucket, e.g. `/o`. */
export function bucketUrl({ gcsUrl = GCS_URL }: GcsAccess, bucket: string, rest: string): string {
  return `${gcsUrl}/storage/v1/b/${encodeURIComponent(bucket)}${rest}`;
}

/** Address of an object's content, of one generation when that is given. */
export function contentUrl(
  access: GcsAccess,
  bucket: string,
  name: string,
  generation?: string,
): string {
  const query = generation === undefined ? "" : `&generation=${generation}`;
  return bucketUrl(access, bucket, `/o/${encodeURIComponent(name)}?alt=media${query}`);
}

/** Address to send an object's content to in one request. */
export function uploadUrl({ gcsUrl = GCS_URL }: GcsAccess, bucket: string, name: string): string {
  const query = new URLSearchParams({ uploadType: "media", name });
  return `${gcsUrl}/upload/storage/v1/b/${encodeURIComponent(bucket)}/o?${query}`;
}

/**
 * One request.
 *
 * @throws PsycheError `GCS_ACCESS_DENIED`, `GCS_NOT_FOUND`, `GCS_UNAVAILABLE` (worth another try)
 */
export async function gcsRequest(
  url: string,
  init: RequestInit,
  { fetch, token }: GcsAccess,
  signal?: AbortSignal,
): Promise<Response> {
  const headers = new Headers(init.headers);
  if (token) headers.set("authorization", `Bearer ${await token(fetch, signal)}`);
  let response: Response;
  try {
    response = await fetch(url, { ...init, headers, signal: signal ?? null });
  } catch (cause) {
    throw new PsycheError(
      "GCS_UNAVAILABLE",
      `${url} cannot be reached; check the connection.`,
      { cause },
    );
  }
  const { ok, status } = response;
  if (ok) return response;
  await response.body?.cancel();
  throw answerError("GCS", url, status, {
    denied: `set ${GCS_TOKEN_VARIABLE} or ${GCS_KEY_FILE_VARIABLE} to what may do that`,
    missing: "check bucket and prefix",
  });
}

/** A small JSON document with the headers that came along. @throws as `gcsRequest` */
export async function gcsDocument(
  url: string,
  access: GcsAccess,
  signal?: AbortSignal,
): Promise<{ document: unknown; headers: Headers }> {
  const limit = AbortSignal.timeout(TIMEOUT);
  const stop = signal ? AbortSignal.any([signal, limit]) : limit;
  const headers = { "accept-encoding": "identity" };
  const response = await gcsRequest(url, { headers }, access, stop);
  try {
    const text = new TextDecoder().decode(await readBody(response, MAX_DOCUMENT_BYTES));
    return { document: JSON.parse(text), headers: response.headers };
  } catch (cause) {
    signal?.throwIfAborted();
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new PsycheError(
      "GCS_UNAVAILABLE",
      `The answer of ${url} cannot be used (${reason}); try again later.`,
      { cause },
    );
  }
}
