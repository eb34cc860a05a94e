import { join } from "node:path";
import { PsycheError } from "../error.ts";

/**
 * The key files of the first `count` wallets that `fund_accounts` made.
 *
 * @throws PsycheError `FLEET_WALLETS_MISSING` with the numbers
 */
export async function fleetWallets(directory: string, count: number): Promise<string[]> {
  const paths = Array.from({ length: count }, (_, i) => join(directory, `keypair_${i + 1}.json`));
  const found = await Promise.all(
    paths.map((path) => Deno.stat(path).then(({ isFile }) => isFile, () => false)),
  );
  const missing = found.indexOf(false);
  if (missing < 0) return paths;
  throw new PsycheError(
    "FLEET_WALLETS_MISSING",
    `${count} clients need the wallets ${directory}/keypair_1.json to keypair_${count}.json, and ` +
      `number ${missing + 1} is not there; make them with fund_accounts <WALLET> ${count}.`,
  );
}
