/** A number in shared memory on whose change another thread can wait. */

/** Falling asleep and waking up takes as long as this, and most of what is waited for less. */
const SPIN_MILLISECONDS = 0.05;

/** As `Atomics.wait`, but wide awake at first. */
export function waitAwake(
  words: Int32Array<SharedArrayBuffer>,
  word: number,
  value: number,
  limitMilliseconds?: number,
): "ok" | "not-equal" | "timed-out" {
  const end = performance.now() + SPIN_MILLISECONDS;
  while (performance.now() < end) {
    if (Atomics.load(words, word) !== value) return "not-equal";
  }
  return Atomics.wait(words, word, value, limitMilliseconds);
}

export class Signal {
  readonly #words: Int32Array<SharedArrayBuffer>;
  readonly #word: number;

  /** The signal that counts in one word of `words`, which threads share. */
  constructor(words: Int32Array<SharedArrayBuffer>, word: number) {
    this.#words = words;
    this.#word = word;
  }

  /** How often it was raised; asked for before looking for what it is raised for. */
  get count(): number {
    return Atomics.load(this.#words, this.#word);
  }

  raise(): void {
    Atomics.add(this.#words, this.#word, 1);
    Atomics.notify(this.#words, this.#word);
  }

  /**
   * Until it is raised after `count` was asked for.
   *
   * @returns false when that does not happen in time
   */
  wait(count: number, limitMilliseconds?: number): boolean {
    return waitAwake(this.#words, this.#word, count, limitMilliseconds) !== "timed-out";
  }
}
