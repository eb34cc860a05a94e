/** SOL amounts in words. */

export const LAMPORTS_PER_SOL = 1_000_000_000;

/** Nine decimals, for example `0.829361440 SOL`. */
export function formatSol(lamports: number | bigint): string {
  const value = BigInt(lamports);
  const sign = value < 0n ? "-" : "";
  const digits = (value < 0n ? -value : value).toString().padStart(10, "0");
  return `${sign}${digits.slice(0, -9)}.${digits.slice(-9)} SOL`;
}
