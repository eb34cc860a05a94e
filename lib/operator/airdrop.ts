/** Test SOL from a cluster's faucet. */
import type { Connection, PublicKey } from "@solana/web3.js";
import { PsycheError } from "../error.ts";
import { formatSol } from "./lamports.ts";
import { waitUntil } from "./wait_until.ts";

/**
 * Brings the account up to `targetLamports`; asks for nothing when it is there already.
 *
 * @returns lamports that were asked for
 * @throws PsycheError AIRDROP_RATE_LIMITED, AIRDROP_FAILED
 */
export async function airdropUpTo(
  connection: Connection,
  address: PublicKey,
  targetLamports: number,
  signal?: AbortSignal,
): Promise<number> {
  const missing = targetLamports - await connection.getBalance(address);
  if (missing <= 0) return 0;
  let signature: string;
  try {
    signature = await connection.requestAirdrop(address, missing);
  } catch (error) {
    signal?.throwIfAborted();
    throw airdropError(error, address, missing);
  }
  // The balance is what counts; but somebody may spend from it meanwhile.
  const isThere = async () => {
    if (await connection.getBalance(address) >= targetLamports) return true;
    const { value: [status] } = await connection.getSignatureStatuses([signature]);
    if (status?.err) throw airdropError(new Error(JSON.stringify(status.err)), address, missing);
    return status !== null && status.confirmationStatus !== "processed";
  };
  await waitUntil(isThere, {
    what: `the airdrop to ${address.toBase58()}`,
    timeoutMillis: 60_000,
    signal,
  });
  return missing;
}

function airdropError(error: unknown, address: PublicKey, lamports: number): PsycheError {
  const request = `${formatSol(lamports)} for ${address.toBase58()}`;
  if (isRateLimit(error)) {
    return new PsycheError(
      "AIRDROP_RATE_LIMITED",
      `The faucet refused ${request} because of its rate limit; ` +
        `use https://faucet.solana.com or transfer SOL to that address.`,
      { cause: error },
    );
  }
  const text = error instanceof Error ? error.message : String(error);
  return new PsycheError(
    "AIRDROP_FAILED",
    `The faucet did not give ${request}: ${text.split("\n")[0]}; transfer SOL to that address.`,
    { cause: error },
  );
}

/** HTTP 429 by the node, or the same number as the JSON-RPC code of the public faucets. */
function isRateLimit(error: unknown): boolean {
  if (error instanceof PsycheError && error.code === "RPC_RATE_LIMITED") return true;
  return error instanceof Error && "code" in error && Number(error.code) === 429;
}
