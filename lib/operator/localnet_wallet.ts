/** The owner's key on a localnet: the user's own, or one of the toolkit's making. */
import type { Keypair } from "@solana/web3.js";
import { dirname } from "node:path";
import { createWallet, loadWallet } from "../chain/wallet.ts";
import { PsycheError } from "../error.ts";

/** Loads the key file, or makes it (0600, its folder 0700). */
export async function loadOrCreateWallet(
  path: string,
): Promise<{ keypair: Keypair; created: boolean; warnings: string[] }> {
  try {
    return { ...await loadWallet(path), created: false };
  } catch (error) {
    if (!(error instanceof PsycheError) || error.code !== "WALLET_FILE_MISSING") throw error;
  }
  await Deno.mkdir(dirname(path), { recursive: true, mode: 0o700 });
  return { keypair: await createWallet(path), created: true, warnings: [] };
}
