/**
 * Holds the newest value only: a slow reader skips what was overtaken. Used for coordinator states, of
 * which the last one is always sufficient.
 */
export class Mailbox<T> {
  #value: { item: T } | null = null;
  #wake: (() => void) | null = null;

  /** Replaces an unread value. */
  put(item: T): void {
    this.#value = { item };
    this.#wake?.();
  }

  /** The next unread value, or null as soon as `signal` is aborted. */
  async take(signal: AbortSignal): Promise<T | null> {
    while (this.#value === null) {
      if (signal.aborted) return null;
      await new Promise<void>((resolve) => {
        const done = () => {
          signal.removeEventListener("abort", done);
          this.#wake = null;
          resolve();
        };
        this.#wake = done;
        signal.addEventListener("abort", done, { once: true });
      });
    }
    const { item } = this.#value;
    this.#value = null;
    return item;
  }
}
