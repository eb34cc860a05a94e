/**
 * Trying again when a data source fails: docs/protocol/client-lifecycle.md section 7.3.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { PsycheError } from "../../error.ts";

export interface RetryOptions {
  /** Further tries after the first. Default 7. */
  retries?: number;
  /** Milliseconds before retry `n` (1-based). Default `2000 * (n - 1)`: the first is immediate. */
  pause?: (retry: number) => number;
  /** Code of the errors that are worth another try. Default `DATA_UNAVAILABLE`. */
  code?: string;
  /** Told each failure that is followed by another try. */
  onRetry?: (error: PsycheError, retry: number) => void;
  signal?: AbortSignal;
}

/**
 * Runs `attempt` until it succeeds. Only errors with `code` are worth another try; anything else is
 * thrown at once, and so is the last failure.
 */
export async function withRetries<T>(
  attempt: () => Promise<T>,
  {
    retries = 7,
    pause = (retry) => 2000 * (retry - 1),
    code = "DATA_UNAVAILABLE",
    onRetry,
    signal,
  }: RetryOptions,
): Promise<T> {
  for (let retry = 1;; retry++) {
    try {
      signal?.throwIfAborted();
      return await attempt();
    } catch (error) {
      signal?.throwIfAborted();
      const failed = error instanceof PsycheError && error.code === code;
      if (!failed || retry > retries) throw error;
      onRetry?.(error, retry);
    }
    // The abort itself is reported by the check above, with the caller's reason.
    await sleep(pause(retry), undefined, { signal }).catch(() => {});
  }
}
