/** Seeded pseudo-random numbers: the same sequence for the same seed, on every machine. */

export interface Random {
  /** Uniform in [0, 1), 32 bits. */
  uniform(): number;
  /** Standard normal. */
  normal(): number;
}

/** The small fast counting generator (sfc32), its state spread from `seed` by a Weyl sequence. */
export function seededRandom(seed: number): Random {
  let [a, b, c, counter] = [seed | 0, Math.floor(seed / 2 ** 32) | 0, 0x9e3779b9 | 0, 1];
  const next = () => {
    const result = (a + b + counter) | 0;
    counter = (counter + 1) | 0;
    a = b ^ (b >>> 9);
    b = (c + (c << 3)) | 0;
    c = ((c << 21) | (c >>> 11)) + result | 0;
    return result >>> 0;
  };
  for (let i = 0; i < 16; i++) next();
  const uniform = () => next() / 2 ** 32;
  const normal = () => {
    // Polar method: a point inside the unit circle gives one normal number.
    while (true) {
      const x = 2 * uniform() - 1;
      const y = 2 * uniform() - 1;
      const square = x * x + y * y;
      if (square > 0 && square < 1) return x * Math.sqrt(-2 * Math.log(square) / square);
    }
  };
  return { uniform, normal };
}
