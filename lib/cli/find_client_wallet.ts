/** The wallet of a training client. */
import { join } from "node:path";
import { createWallet } from "../chain/wallet.ts";
import { findWallet, type FoundWallet, type WalletSettings } from "./find_wallet.ts";
import type { Runtime } from "./runtime.ts";

/**
 * The given wallet; or, where `freshKeyDirectory` is set, a new one in it, because several clients of
 * one machine must not share a key. The file stays: it owns the rewards that the client earns.
 */
export async function findClientWallet(
  given: WalletSettings,
  runtime: Runtime,
  { freshKeyDirectory }: { freshKeyDirectory: string | null },
): Promise<FoundWallet> {
  const { walletPrivateKeyPath, rawWalletPrivateKey } = given.settings;
  if (freshKeyDirectory === null || walletPrivateKeyPath || rawWalletPrivateKey) {
    return await findWallet(given, runtime);
  }
  await Deno.mkdir(freshKeyDirectory, { recursive: true, mode: 0o700 });
  const path = join(freshKeyDirectory, `client-${crypto.randomUUID().slice(0, 8)}.json`);
  return { keypair: await createWallet(path), path, origin: `new, in ${path}`, warnings: [] };
}
