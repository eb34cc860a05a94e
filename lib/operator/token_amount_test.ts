import assert from "node:assert/strict";
import fc from "fast-check";
import { PsycheError } from "../error.ts";
import { formatTokenAmount, parseTokenAmount, tokenAmount } from "./token_amount.ts";

Deno.test("the unit decides what a number means", () => {
  const cases: [string, number, "raw" | "ui", bigint][] = [
    ["5", 6, "raw", 5n],
    ["5", 6, "ui", 5_000_000n],
    ["5ui", 6, "raw", 5_000_000n],
    ["5raw", 6, "ui", 5n],
    ["0.5", 6, "raw", 500_000n],
    ["1.0000005", 6, "ui", 1_000_001n],
    ["1.00000049", 6, "ui", 1_000_000n],
    ["0.5", 0, "ui", 1n],
    ["18446744073709551615", 0, "ui", (1n << 64n) - 1n],
  ];
  for (const [text, decimals, bare, raw] of cases) {
    assert.equal(parseTokenAmount(text, decimals, bare).raw, raw, text);
  }
});

Deno.test("what is no amount is refused", () => {
  for (const text of ["", "-1", "1e3", "1.5raw", ".5", "5 ui", "18446744073709551616", "1,5"]) {
    assert.throws(
      () => parseTokenAmount(text, 0, "raw"),
      (error) => error instanceof PsycheError && error.code === "TOKEN_AMOUNT_INVALID",
      text,
    );
  }
});

Deno.test("both units are shown, and the shown text means the same amount", () => {
  assert.equal(formatTokenAmount(tokenAmount(1_250_000n, 6)), "1.25 tokens (1250000 base units)");
  fc.assert(
    fc.property(fc.bigInt({ min: 0n, max: (1n << 64n) - 1n }), fc.nat(18), (raw, decimals) => {
      const { ui } = tokenAmount(raw, decimals);
      assert.equal(parseTokenAmount(`${ui}ui`, decimals, "raw").raw, raw);
      assert.equal(parseTokenAmount(`${raw}raw`, decimals, "ui").raw, raw);
    }),
  );
});
