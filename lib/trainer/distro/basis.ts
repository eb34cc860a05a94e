/**
 * The orthonormal DCT-II basis of docs/protocol/training-math.md section 3.1, with the same bits on
 * every machine: only IEEE addition, multiplication, division and square root are used, because the
 * library cosine may differ in the last bit from one engine or CPU to the next.
 */

const HALF_PI = 1.5707963267948966;
/** Enough terms for full f64 accuracy on [0, pi/4]: x^24/24! is below 1e-26 there. */
const TERMS = 12;

/** Taylor series of cosine (`first` = 0) or sine (`first` = 1) by Horner's rule, 0 <= x <= pi/4. */
function series(x: number, first: 0 | 1): number {
  const square = x * x;
  let sum = 1;
  for (let term = TERMS; term >= 1; term--) {
    const n = 2 * term + first;
    sum = 1 - (square / (n * (n - 1))) * sum;
  }
  return first === 0 ? sum : x * sum;
}

/** cos(pi * m / (2n)) for integers, with the range reduction done exactly in integers. */
export function exactCosine(m: number, n: number): number {
  let folded = m % (4 * n);
  if (folded > 2 * n) folded = 4 * n - folded;
  const negative = folded > n;
  if (negative) folded = 2 * n - folded;
  const value = 2 * folded <= n
    ? series((folded / n) * HALF_PI, 0)
    : series(((n - folded) / n) * HALF_PI, 1);
  return negative ? -value : value;
}

const tables = new Map<number, Float32Array<ArrayBuffer>>();

/**
 * Basis of block edge `n` as fp32 `[n, n]`, **one row per frequency**: `table[k * n + j]` is the
 * specification's `F[j, k]`, so a coefficient times its row is that coefficient's contribution.
 * Each entry is rounded once, from f64. The table is shared and must not be written to.
 */
export function dctBasis(n: number): Float32Array<ArrayBuffer> {
  let table = tables.get(n);
  if (table === undefined) {
    table = new Float32Array(n * n);
    const scale = Math.sqrt(2 / n);
    for (let j = 0; j < n; j++) table[j] = Math.sqrt(1 / n);
    for (let k = 1; k < n; k++) {
      for (let j = 0; j < n; j++) table[k * n + j] = scale * exactCosine((2 * j + 1) * k, n);
    }
    tables.set(n, table);
  }
  return table;
}
