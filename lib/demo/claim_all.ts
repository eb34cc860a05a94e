import { join } from "node:path";
import { loadWallet } from "../chain/wallet.ts";
import { claimRewards } from "../operator/claim_rewards.ts";
import type { OperatorContext } from "../operator/context.ts";
import type { TokenAmount } from "../operator/token_amount.ts";

/** What one client was paid. */
export interface Claim {
  /** Wallet, base58. */
  client: string;
  claimed: TokenAmount;
  signature: string | null;
}

/**
 * Claims the rewards of every client whose key file (`client-*.json`) is in a directory, each with its
 * own wallet.
 */
export async function claimAll(
  context: OperatorContext,
  options: { runId: string; keyDirectory: string },
): Promise<Claim[]> {
  const files: string[] = [];
  for await (const { name } of Deno.readDir(options.keyDirectory)) {
    if (/^client-.*\.json$/.test(name)) files.push(join(options.keyDirectory, name));
  }
  return await Promise.all(
    files.sort().map(async (file) => {
      const { keypair } = await loadWallet(file);
      const own = { ...context, payer: keypair, walletPath: file };
      const { claimed, outcome } = await claimRewards(own, { runId: options.runId });
      const signature = outcome?.signature ?? null;
      return { client: keypair.publicKey.toBase58(), claimed, signature };
    }),
  );
}
