/** The signing key of a command; commands.md section 0.4, with the flag above the raw variable. */
import type { Keypair } from "@solana/web3.js";
import { join } from "node:path";
import { loadWallet, parseWallet } from "../chain/wallet.ts";
import { PsycheError } from "../error.ts";
import { loadOrCreateWallet } from "../operator/localnet_wallet.ts";
import type { Values } from "./flag.ts";
import type { WALLET_FLAGS } from "./flag_sets.ts";
import type { Runtime } from "./runtime.ts";
import { type Origin, SOURCES } from "./settings.ts";
import { SOLANA_KEYPAIR_PATH } from "./solana_config.ts";

/** The owner of runs on localnets, made by setup-localnet when no other wallet is named. */
export const LOCALNET_WALLET_PATH = ".psyche/keys/localnet-owner.json";

export interface FoundWallet {
  keypair: Keypair;
  /** Null when the key came from a variable. */
  path: string | null;
  /** Where the key came from, in words. */
  origin: string;
  warnings: string[];
}

export interface WalletSettings {
  settings: Pick<Values<typeof WALLET_FLAGS>, keyof typeof WALLET_FLAGS>;
  origins: Partial<Record<keyof typeof WALLET_FLAGS, Origin>>;
}

/**
 * Where the key is to be taken from: the higher source wins; within one source the raw key does.
 * Last resorts are the Solana CLI's default keypair file and `fallbackPath`, when they are there.
 */
export function chooseWallet(
  { settings, origins }: WalletSettings,
  runtime: Pick<Runtime, "environment" | "readTextFile">,
  fallbackPath?: string,
): { raw: string; origin: string } | { path: string; origin: string } | null {
  const rank = (origin: Origin | undefined) =>
    origin ? SOURCES.indexOf(origin.source) : Number.POSITIVE_INFINITY;
  const raw = settings.rawWalletPrivateKey;
  const path = settings.walletPrivateKeyPath;
  if (raw && rank(origins.rawWalletPrivateKey) <= rank(origins.walletPrivateKeyPath)) {
    return { raw, origin: origins.rawWalletPrivateKey!.detail };
  }
  const isSuggestion = origins.walletPrivateKeyPath?.source === "solana config";
  // The Solana CLI names a file in its configuration before anybody has made it.
  if (path && !(isSuggestion && runtime.readTextFile(path) === undefined)) {
    return { path, origin: origins.walletPrivateKeyPath!.detail };
  }
  const home = runtime.environment("HOME") ?? runtime.environment("USERPROFILE");
  const usual = home ? join(home, SOLANA_KEYPAIR_PATH) : null;
  if (usual && runtime.readTextFile(usual) !== undefined) {
    return { path: usual, origin: "the Solana CLI's default keypair" };
  }
  if (fallbackPath && runtime.readTextFile(fallbackPath) !== undefined) {
    return { path: fallbackPath, origin: fallbackPath };
  }
  return null;
}

/**
 * Loads the signing key.
 * @throws PsycheError WALLET_MISSING when no source names one, and the errors of lib/chain/wallet.ts
 */
export async function findWallet(
  given: WalletSettings,
  runtime: Runtime,
  fallbackPath?: string,
): Promise<FoundWallet> {
  const choice = chooseWallet(given, runtime, fallbackPath);
  if (choice === null) {
    throw new PsycheError(
      "WALLET_MISSING",
      "No wallet was given; name a keypair file with --wallet-private-key-path (or set " +
        "WALLET_PRIVATE_KEY_PATH or RAW_WALLET_PRIVATE_KEY).",
    );
  }
  const { origin } = choice;
  if ("raw" in choice) {
    return { keypair: parseWallet(choice.raw, origin), path: null, origin, warnings: [] };
  }
  const { keypair, warnings } = await loadWallet(choice.path);
  return { keypair, path: choice.path, origin, warnings };
}

/** The same, but where nothing names a key, one is kept (and first made) at `path`. */
export async function findOrMakeWallet(
  given: WalletSettings,
  runtime: Runtime,
  path: string,
): Promise<FoundWallet> {
  if (chooseWallet(given, runtime) !== null) return await findWallet(given, runtime);
  const { keypair, created, warnings } = await loadOrCreateWallet(path);
  return { keypair, path, origin: created ? `${path}, just made` : path, warnings };
}
