/**
 * Runs `work` on every item, at most `limit` at a time, results in order. After the first failure no
 * further item is started, the others are aborted and awaited, and the failure is thrown.
 */
export async function concurrently<T, R>(
  items: readonly T[],
  limit: number,
  work: (item: T, signal: AbortSignal) => Promise<R>,
  signal?: AbortSignal,
): Promise<R[]> {
  const stop = new AbortController();
  const abort = () => stop.abort(signal?.reason);
  if (signal?.aborted) abort();
  signal?.addEventListener("abort", abort);
  const results: R[] = new Array(items.length);
  let next = 0;
  const lane = async () => {
    while (next < items.length) {
      const index = next++;
      stop.signal.throwIfAborted();
      results[index] = await work(items[index], stop.signal);
    }
  };
  try {
    const lanes = Array.from({ length: Math.min(limit, items.length) }, lane);
    // The first abort counts: later failures are its consequences.
    await Promise.all(lanes.map((done) => done.catch((error) => stop.abort(error))));
  } finally {
    signal?.removeEventListener("abort", abort);
  }
  stop.signal.throwIfAborted();
  return results;
}
