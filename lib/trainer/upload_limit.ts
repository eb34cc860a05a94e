/** Of an upload that fails, after the first try. */
export const UPLOAD_RETRIES = 4;
/** An upload slower than this is given up, bytes per second. */
const SLOWEST = 50_000;
/** What is granted besides, milliseconds. */
const PATIENCE = 60_000;

/** Aborted by the caller's signal, or when an upload of that size has become hopelessly slow. */
export function uploadLimit(bytes: number, signal?: AbortSignal): AbortSignal {
  const limit = AbortSignal.timeout(PATIENCE + 1000 * bytes / SLOWEST);
  return signal ? AbortSignal.any([signal, limit]) : limit;
}
