/** A flag for an amount of the collateral. */
import { isTokenAmountText } from "../operator/token_amount.ts";
import type { Flag } from "./flag.ts";

/** The text stays as it is: what it means depends on the mint. */
export function tokenAmountFlag(
  options: Pick<Flag<string>, "summary" | "environment">,
): Flag<string | undefined> {
  return {
    placeholder: "<amount>",
    ...options,
    parse(value) {
      if (isTokenAmountText(value)) return value;
      throw new Error(`"${value}" is no amount; write 1.5, 1.5ui (tokens) or 1500raw (base units)`);
    },
  };
}
