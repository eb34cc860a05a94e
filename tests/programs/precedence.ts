/** Which of several faults of an instruction is reported; for tests. */
import assert from "node:assert/strict";
import { type PublicKey, TransactionInstruction } from "@solana/web3.js";
import { assertError, type Chain } from "./harness.ts";

/** Something wrong with an instruction, and what the program answers to it. */
export interface Fault {
  /** Changes a copy of the instruction. */
  apply: (instruction: TransactionInstruction) => void;
  /** Number of a custom error, or the name of a native one. */
  error: number | string;
  /** Of a numbered error that the program logs. */
  name?: string;
  account?: string;
}

/** A fault: the account at `position` is another one or has other flags. */
export function wrong(
  position: number,
  change: PublicKey | { isSigner?: boolean; isWritable?: boolean },
  [error, name, account]: [number | string, string?, string?],
): Fault {
  return {
    apply: ({ keys }) => {
      const fields = "toBytes" in change ? { pubkey: change } : change;
      keys[position] = { ...keys[position], ...fields };
    },
    error,
    name,
    account,
  };
}

/**
 * Sends the instruction with each fault alone and with all that come after it: it must be the one
 * that is reported. Without faults the instruction must succeed.
 */
export function assertPrecedence(
  chain: Chain,
  make: () => TransactionInstruction[],
  faults: Fault[],
): void {
  for (const [i, { error, name, account }] of faults.entries()) {
    for (const present of [[faults[i]], faults.slice(i)]) {
      const list = make();
      const last = list[list.length - 1];
      const broken = new TransactionInstruction({
        ...last,
        keys: last.keys.map((key) => ({ ...key })),
        data: Buffer.from(last.data),
      });
      // The earlier fault of the same account is the one that stays visible.
      for (const fault of present.toReversed()) fault.apply(broken);
      const result = chain.send(...list.slice(0, -1), broken);
      const expected = `fault ${i} of ${present.length}: ${[error, name, account].join(" ")}`;
      assert.equal(result.error, error, [expected, ...result.logs].join("\n"));
      if (typeof error === "number" && name) assertError(result, error, name, account);
    }
  }
  chain.run(...make());
}
