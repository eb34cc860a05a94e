/**
 * The three requests data sources need, with a time limit and bounded bodies.
 */
import { PsycheError } from "../../error.ts";
import { readBody } from "../read_body.ts";

export interface HttpOptions {
  fetch: typeof fetch;
  /** Limit for one whole request. Default 5000 (docs/protocol/training-math.md section 6.4). */
  timeoutMs?: number;
  /** Google Cloud Storage, where buckets are listed. Default: the public service. */
  gcsUrl?: string;
}

/** Size of a file by a HEAD request, in bytes. */
export function fileSize(url: string, options: HttpOptions, signal?: AbortSignal): Promise<number> {
  return request(url, { method: "HEAD" }, options, signal, (response) => {
    const length = response.headers.get("content-length");
    if (length === null || !/^\d{1,15}$/.test(length)) {
      throw new Error(`the answer has the Content-Length ${length}`);
    }
    return Promise.resolve(Number(length));
  });
}

/** Exactly the bytes `start` to `start + length - 1` of a file. */
export function fileRange(
  url: string,
  start: number,
  length: number,
  options: HttpOptions,
  signal?: AbortSignal,
): Promise<Uint8Array<ArrayBuffer>> {
  const headers = { range: `bytes=${start}-${start + length - 1}` };
  return request(url, { headers }, options, signal, async (response) => {
    const bytes = await readBody(response, length);
    if (bytes.length !== length) {
      throw new Error(`${bytes.length} bytes came where ${length} were asked for`);
    }
    return bytes;
  });
}

/** A JSON document of at most `maxBytes`. */
export function jsonDocument(
  url: string,
  maxBytes: number,
  options: HttpOptions,
  signal?: AbortSignal,
): Promise<unknown> {
  return request(url, {}, options, signal, async (response) => {
    return JSON.parse(new TextDecoder().decode(await readBody(response, maxBytes)));
  });
}

/** One request; every failure but the caller's abort becomes `DATA_UNAVAILABLE`. */
async function request<T>(
  url: string,
  init: RequestInit,
  { fetch, timeoutMs = 5000 }: HttpOptions,
  signal: AbortSignal | undefined,
  use: (response: Response) => Promise<T>,
): Promise<T> {
  const stop = new AbortController();
  const timer = setTimeout(() => stop.abort(new Error(`no answer in ${timeoutMs} ms`)), timeoutMs);
  const abort = () => stop.abort(signal?.reason);
  signal?.throwIfAborted();
  signal?.addEventListener("abort", abort);
  try {
    const headers = new Headers(init.headers);
    // Compressed answers would make lengths meaningless.
    headers.set("accept-encoding", "identity");
    const response = await fetch(url, { ...init, headers, signal: stop.signal });
    try {
      if (!response.ok) throw new Error(`status ${response.status}`);
      return await use(response);
    } finally {
      if (response.body !== null && !response.bodyUsed) await response.body.cancel();
    }
  } catch (cause) {
    signal?.throwIfAborted();
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new PsycheError(
      "DATA_UNAVAILABLE",
      `${url} cannot be read: ${reason}; check that it is reachable and serves byte ranges.`,
      { cause },
    );
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener("abort", abort);
  }
}
