/**
 * `fetch` for JSON-RPC over several endpoints, the first being the preferred one.
 *
 * An endpoint that fails rests for a while (longer each time, or as long as its Retry-After says)
 * and is remembered as resting, so that one dead endpoint does not cost every later call its
 * timeout (compare docs/protocol/client-lifecycle.md section 9). Everything sent through here may
 * be sent twice: reads are harmless and a signed transaction runs once however often it arrives.
 */
import { PsycheError } from "../error.ts";
import { MAX_ANSWER_BYTES, readBounded } from "./bounded_body.ts";
import { redactUrl } from "./endpoint.ts";
import { sleep } from "./sleep.ts";

export interface FailoverOptions {
  /** HTTP URLs in order of preference; at least one. */
  urls: string[];
  /** Ends every request and every wait. */
  signal?: AbortSignal;
  /** Ends waits and refuses new requests, but lets those under way finish. */
  closed?: AbortSignal;
  /** Longest time for one attempt, the body included. Default 15 s. */
  timeoutMillis?: number;
  /** The longest body of an answer. Default 64 MiB. */
  maxAnswerBytes?: number;
  /** Attempts of one call on each endpoint. Default 4. */
  attemptsPerEndpoint?: number;
  /** First pause after a failure; doubles up to 10 s. Default 250 ms. */
  pauseMillis?: number;
  /** Told when a call moves to another endpoint. URLs are redacted. */
  onFailover?: (event: { from: string; to: string; reason: string }) => void;
  /** For tests. */
  fetch?: (url: string, init: RequestInit) => Promise<Response>;
}

interface Health {
  url: string;
  /** In a row. */
  failures: number;
  /** Other endpoints are preferred until then. */
  restUntil: number;
  /** Not asked at all until then: its own wish (Retry-After). */
  closedUntil: number;
}

const TIMEOUT_MILLIS = 15_000;
const MAX_PAUSE_MILLIS = 10_000;
const MAX_RETRY_AFTER_MILLIS = 60_000;
/** JSON-RPC code of a node that has fallen behind its cluster. */
const NODE_UNHEALTHY = /"code"\s*:\s*-32005\b/;

/**
 * Make the function. It throws PsycheError RPC_UNREACHABLE, RPC_RATE_LIMITED, RPC_REFUSED or
 * RPC_ANSWER_TOO_LARGE when no endpoint gave an answer, and the signal's reason when aborted.
 */
export function createFailoverFetch(
  options: FailoverOptions,
): (input: unknown, init?: RequestInit) => Promise<Response> {
  const { signal, attemptsPerEndpoint = 4, pauseMillis = 250 } = options;
  const noMore = AbortSignal.any([signal, options.closed].filter((s) => s !== undefined));
  const request = options.fetch ?? ((url, init) => fetch(url, init));
  const endpoints: Health[] = [...new Set(options.urls)]
    .map((url) => ({ url, failures: 0, restUntil: 0, closedUntil: 0 }));

  return async (_input, init = {}) => {
    const budget = attemptsPerEndpoint * endpoints.length;
    let last: Failure | undefined;
    let previous: Health | undefined;
    for (let attempt = 0; attempt < budget; attempt++) {
      // The first attempt never waits for a resting endpoint, later ones not longer than their pause.
      const patience = attempt === 0 ? 0 : backoff(pauseMillis, attempt);
      const endpoint = await nextEndpoint(endpoints, patience, noMore);
      if (previous && previous !== endpoint && last) {
        options.onFailover?.({
          from: redactUrl(previous.url),
          to: redactUrl(endpoint.url),
          reason: last.reason,
        });
      }
      previous = endpoint;
      const outcome = await attemptOnce(request, endpoint.url, init, options);
      if (!("reason" in outcome)) {
        endpoint.failures = 0;
        endpoint.restUntil = endpoint.closedUntil = 0;
        return new Response(outcome.text, { status: outcome.status });
      }
      last = outcome;
      endpoint.failures++;
      endpoint.restUntil = Date.now() + backoff(pauseMillis, endpoint.failures);
      endpoint.closedUntil = Date.now() + (outcome.retryAfterMillis ?? 0);
      // A refusal (bad key, wrong path) does not get better by asking the same endpoint again.
      if (outcome.permanent && endpoints.every((other) => other.failures > 0)) break;
    }
    throw exhausted(endpoints, last!);
  };
}

interface Answer {
  status: number;
  text: string;
}

interface Failure {
  reason: string;
  status?: number;
  retryAfterMillis?: number;
  permanent?: boolean;
  /** The answer was not read to its end, and the next one would not be either. */
  tooLarge?: PsycheError;
  cause?: unknown;
}

function backoff(pauseMillis: number, failures: number): number {
  return Math.min(MAX_PAUSE_MILLIS, pauseMillis * 2 ** (failures - 1));
}

/** The most preferred endpoint that is not resting, else the one with the shortest wait, waited for. */
async function nextEndpoint(
  endpoints: Health[],
  patience: number,
  signal: AbortSignal,
): Promise<Health> {
  signal.throwIfAborted();
  const now = Date.now();
  const ready = endpoints.find((e) => Math.max(e.restUntil, e.closedUntil) <= now);
  if (ready) return ready;
  const waitFor = (e: Health) =>
    Math.max(e.closedUntil - now, Math.min(e.restUntil - now, patience), 0);
  const soonest = endpoints.reduce((a, b) => waitFor(b) < waitFor(a) ? b : a);
  await sleep(waitFor(soonest), signal);
  return soonest;
}

async function attemptOnce(
  request: NonNullable<FailoverOptions["fetch"]>,
  url: string,
  init: RequestInit,
  { timeoutMillis = TIMEOUT_MILLIS, maxAnswerBytes = MAX_ANSWER_BYTES, signal }: FailoverOptions,
): Promise<Answer | Failure> {
  signal?.throwIfAborted();
  const controller = new AbortController();
  const onAbort = () => controller.abort(signal!.reason);
  signal?.addEventListener("abort", onAbort, { once: true });
  const timer = setTimeout(() => controller.abort(), timeoutMillis);
  try {
    // Not `...init`: web3.js adds a Node agent there, which means nothing to this fetch.
    const response = await request(url, {
      method: init.method,
      headers: init.headers,
      body: init.body,
      signal: controller.signal,
    });
    const text = await readBounded(response, `The cluster at ${redactUrl(url)}`, maxAnswerBytes);
    const status = response.status;
    if (status === 429 || status >= 500 || status === 408) {
      const reason = `HTTP ${status}`;
      return { reason, status, retryAfterMillis: retryAfter(response.headers) };
    }
    if (status >= 400) return { reason: `HTTP ${status}`, status, permanent: true };
    if (!/^\s*[{[]/.test(text)) return { reason: "an answer that is not JSON" };
    if (text.length < 4096 && NODE_UNHEALTHY.test(text)) {
      return { reason: "node behind its cluster" };
    }
    return { status, text };
  } catch (cause) {
    if (signal?.aborted) throw signal.reason;
    if (cause instanceof PsycheError) {
      return { reason: cause.message, tooLarge: cause, permanent: true };
    }
    const reason = controller.signal.aborted
      ? `no answer within ${timeoutMillis / 1000} s`
      : "connection failed";
    return { reason, cause };
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener("abort", onAbort);
  }
}

/** Seconds or an HTTP date, as milliseconds from now; undefined when absent or meaningless. */
function retryAfter(headers: Headers): number | undefined {
  const text = headers.get("retry-after");
  if (text === null) return undefined;
  const millis = /^\d+$/.test(text) ? Number(text) * 1000 : Date.parse(text) - Date.now();
  return millis > 0 ? Math.min(millis, MAX_RETRY_AFTER_MILLIS) : undefined;
}

function exhausted(endpoints: Health[], last: Failure): PsycheError {
  if (last.tooLarge) return last.tooLarge;
  const names = endpoints.map((endpoint) => redactUrl(endpoint.url)).join(", ");
  const options = { cause: last.cause };
  if (last.status === 429) {
    return new PsycheError(
      "RPC_RATE_LIMITED",
      `The cluster at ${names} keeps answering "too many requests"; wait a while or use an endpoint of your own.`,
      options,
    );
  }
  if (last.permanent) {
    return new PsycheError(
      "RPC_REFUSED",
      `The cluster at ${names} refuses requests (${last.reason}); check the URL and its API key.`,
      options,
    );
  }
  return new PsycheError(
    "RPC_UNREACHABLE",
    `The cluster at ${names} gives no usable answer (${last.reason}); check that it runs and that the URL is right.`,
    options,
  );
}
