/** Waiting for conditions, never for a time. */
import { setTimeout as delay } from "node:timers/promises";
import { PsycheError } from "../error.ts";

export interface WaitOptions {
  /** Completes "waited ... for". */
  what: string;
  timeoutMillis: number;
  /** Pause between two looks, ms; default 50. */
  intervalMillis?: number;
  signal?: AbortSignal;
}

/**
 * Looks until the condition holds.
 * @throws PsycheError WAIT_TIMEOUT; whatever the condition throws; the signal's reason
 */
export async function waitUntil(
  condition: () => Promise<boolean>,
  options: WaitOptions,
): Promise<void> {
  const { what, timeoutMillis, intervalMillis = 50, signal } = options;
  const end = performance.now() + timeoutMillis;
  while (true) {
    signal?.throwIfAborted();
    if (await condition()) return;
    if (performance.now() >= end) {
      throw new PsycheError(
        "WAIT_TIMEOUT",
        `Waited ${timeoutMillis / 1000} s for ${what}, in vain; look at the cluster and try again.`,
      );
    }
    await delay(intervalMillis, undefined, { signal }).catch(() => signal?.throwIfAborted());
  }
}
