import type { CoordinatorState } from "../protocol/coordinator_state.ts";

/** The newest state of a run, and a way to wait for a better one. */
export class RunStates {
  #state: CoordinatorState;
  #news = Promise.withResolvers<void>();

  constructor(state: CoordinatorState) {
    this.#state = state;
  }

  get current(): CoordinatorState {
    return this.#state;
  }

  put(state: CoordinatorState): void {
    this.#state = state;
    this.#news.resolve();
    this.#news = Promise.withResolvers();
  }

  /**
   * The answer of `ask` about the newest state, as soon as it is `wanted`, or the last one when
   * `milliseconds` are over.
   *
   * @throws the signal's reason when aborted
   */
  async until<T>(
    ask: (state: CoordinatorState) => T,
    wanted: (answer: T) => boolean,
    milliseconds: number,
    signal: AbortSignal,
  ): Promise<T> {
    const over = Promise.withResolvers<"over">();
    const end = () => over.resolve("over");
    const timer = setTimeout(end, milliseconds);
    signal.addEventListener("abort", end);
    try {
      for (;;) {
        signal.throwIfAborted();
        const answer = ask(this.#state);
        if (wanted(answer)) return answer;
        if (await Promise.race([this.#news.promise, over.promise]) === "over") {
          signal.throwIfAborted();
          return ask(this.#state);
        }
      }
    } finally {
      clearTimeout(timer);
      signal.removeEventListener("abort", end);
    }
  }
}
