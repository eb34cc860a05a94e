/** A localnet with a funded wallet for the tests of lib/chain. */
import { type Connection, Keypair, LAMPORTS_PER_SOL, type PublicKey } from "@solana/web3.js";
import { closeConnection, openConnection } from "../../lib/chain/connection.ts";
import {
  type SpawnedLocalnet,
  spawnLocalnet,
  type SpawnLocalnetOptions,
} from "../../lib/localnet/spawn.ts";

export const PROGRAMS = new URL("../../programs/", import.meta.url);

export interface Chain {
  localnet: SpawnedLocalnet;
  connection: Connection;
  wallet: Keypair;
}

/** Run `test` against a fresh localnet and leave nothing behind. */
export async function withLocalnet(
  options: SpawnLocalnetOptions,
  test: (chain: Chain) => Promise<void>,
  wallet: Keypair = Keypair.generate(),
): Promise<void> {
  const localnet = await spawnLocalnet(options);
  const connection = openConnection({ rpcUrl: localnet.rpcUrl, wsUrl: localnet.wsUrl });
  try {
    await fund(connection, wallet.publicKey, 100);
    await test({ localnet, connection, wallet });
  } finally {
    await closeConnection(connection);
    await localnet.stop();
  }
}

/** Airdrop and wait. */
export async function fund(connection: Connection, key: PublicKey, sol: number): Promise<void> {
  await connection.requestAirdrop(key, sol * LAMPORTS_PER_SOL);
  while (await connection.getBalance(key) === 0) await new Promise((go) => setTimeout(go, 50));
}
