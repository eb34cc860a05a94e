import { PsycheError } from "../error.ts";

/**
 * Error for input on which the on-chain program panics (it is compiled with overflow checks);
 * docs/protocol/onchain-common.md section 5. Code `PROGRAM_PANIC`.
 */
export function panic(what: string): never {
  throw new PsycheError(
    "PROGRAM_PANIC",
    `The coordinator program would abort here: ${what}; check the run's configuration.`,
  );
}

const U64_MAX = (1n << 64n) - 1n;

/** `a + b`, or a panic above u64. */
export function addU64(a: bigint, b: bigint): bigint {
  const sum = a + b;
  return sum > U64_MAX ? panic(`${a} + ${b} does not fit 64 bits`) : sum;
}

/** `a * b`, or a panic above u64. */
export function multiplyU64(a: bigint, b: bigint): bigint {
  const product = a * b;
  return product > U64_MAX ? panic(`${a} * ${b} does not fit 64 bits`) : product;
}
