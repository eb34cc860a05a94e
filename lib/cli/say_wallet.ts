import type { FoundWallet } from "./find_wallet.ts";
import type { Output } from "./output.ts";

/** Which key signs and pays, from where it was taken, and what is wrong with its file. */
export function sayWallet({ keypair, origin, warnings }: FoundWallet, output: Output): void {
  warnings.forEach((warning) => output.warn(warning));
  output.say(`wallet ${keypair.publicKey.toBase58()} (${origin})`);
}
