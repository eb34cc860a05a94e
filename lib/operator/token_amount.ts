/**
 * Amounts of a token: raw base units on chain, whole tokens for people. One token is 10^decimals base
 * units. docs/protocol/onchain-treasurer.md section 6.
 */
import { PsycheError } from "../error.ts";

export interface TokenAmount {
  raw: bigint;
  /** Decimal text in whole tokens, for example `1.25`. */
  ui: string;
}

/** What a number without a unit means. */
export type BareUnit = "raw" | "ui";

const FORM = /^(\d{1,40})(?:\.(\d{1,40}))?(raw|ui)?$/;

/** True for text that {@linkcode parseTokenAmount} can read. */
export function isTokenAmountText(text: string): boolean {
  const match = FORM.exec(text);
  return match !== null && !(match[3] === "raw" && match[2] !== undefined);
}

/**
 * Reads `5raw` (base units), `0.5ui` (tokens) and bare numbers; one with a point is always in tokens.
 * What is finer than a base unit is rounded to the nearest one, halves up.
 * @throws PsycheError TOKEN_AMOUNT_INVALID, also above 2^64 - 1
 */
export function parseTokenAmount(text: string, decimals: number, bare: BareUnit): TokenAmount {
  const match = isTokenAmountText(text) ? FORM.exec(text) : null;
  if (match === null) throw invalid(text, "is no amount");
  const [, whole, fraction = "", unit = fraction === "" ? bare : "ui"] = match;
  const raw = unit === "raw" ? BigInt(whole) : toRaw(whole, fraction, decimals);
  if (raw >= 1n << 64n) throw invalid(text, "is more than any token account can hold");
  return tokenAmount(raw, decimals);
}

export function tokenAmount(raw: bigint, decimals: number): TokenAmount {
  const digits = raw.toString().padStart(decimals + 1, "0");
  const whole = digits.slice(0, digits.length - decimals);
  const fraction = digits.slice(digits.length - decimals).replace(/0+$/, "");
  return { raw, ui: fraction === "" ? whole : `${whole}.${fraction}` };
}

/** Both units, so that a wrong magnitude is seen: `1.25 tokens (1250000 base units)`. */
export function formatTokenAmount({ raw, ui }: TokenAmount): string {
  return `${ui} tokens (${raw} base units)`;
}

function toRaw(whole: string, fraction: string, decimals: number): bigint {
  const kept = fraction.slice(0, decimals).padEnd(decimals, "0");
  const roundsUp = (fraction[decimals] ?? "0") >= "5";
  return BigInt(whole + kept) + (roundsUp ? 1n : 0n);
}

function invalid(text: string, problem: string): PsycheError {
  return new PsycheError(
    "TOKEN_AMOUNT_INVALID",
    `The amount "${
      text.slice(0, 60)
    }" ${problem}; write for example 1.5ui for tokens or 1500raw for ` +
      `base units.`,
    { exitCode: 2 },
  );
}
