/** A fault schedule that is fixed by its seed: the same seed gives the same decisions in order. */
export interface Faults {
  readonly seed: number;
  /** True with the given probability. */
  happens(probability: number): boolean;
  /** Uniform in [0, limit). */
  upTo(limit: number): number;
}

/** mulberry32, enough to spread faults. */
export function createFaults(seed: number): Faults {
  let state = seed >>> 0;
  const next = () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
  return {
    seed,
    happens: (probability) => next() < probability,
    upTo: (limit) => next() * limit,
  };
}
