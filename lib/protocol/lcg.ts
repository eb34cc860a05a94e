const MASK = (1n << 64n) - 1n;

/** 64-bit linear congruential generator, docs/protocol/deterministic-selection.md section 4. */
export class Lcg {
  #state: bigint;

  /** `seed` is a u64. */
  constructor(seed: bigint) {
    this.#state = seed & MASK;
  }

  /** The next u64. */
  next(): bigint {
    this.#state = (this.#state * 6364136223846793005n + 1442695040888963407n) & MASK;
    return this.#state;
  }

  /** The next output modulo `bound` (> 0). */
  range(bound: number): number {
    return Number(this.next() % BigInt(bound));
  }
}

/** Fisher-Yates shuffle of `list` in place, from the end, drawn from {@linkcode Lcg}; section 4. */
export function shuffleWithLcg<T>(list: T[], seed: bigint): T[] {
  const generator = new Lcg(seed);
  for (let i = list.length - 1; i >= 1; i--) {
    const j = generator.range(i + 1);
    [list[i], list[j]] = [list[j], list[i]];
  }
  return list;
}
