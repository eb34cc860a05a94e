/**
 * Transfers that were signed and whose fate is not known yet: written before they are sent, so that a
 * later run settles exactly these before it signs others. `<directory>/<genesis hash>/<sender>.json`.
 */
import { Buffer } from "node:buffer";
import { dirname, join } from "node:path";
import type { SignedBytes } from "../chain/confirm.ts";
import { PsycheError } from "../error.ts";
import { writeJsonFile } from "./json_file.ts";

export function fundingJournalPath(directory: string, genesisHash: string, sender: string): string {
  return join(directory, genesisHash, `${sender}.json`);
}

/** Writes all of them or none. */
export async function writeFundingJournal(path: string, pending: SignedBytes[]): Promise<void> {
  await writeJsonFile(path, {
    pending: pending.map(({ signature, bytes, lastValidBlockHeight }) => ({
      signature,
      lastValidBlockHeight,
      transaction: Buffer.from(bytes).toString("base64"),
    })),
  });
}

/**
 * Transactions whose fate is open; empty when there is no journal.
 * @throws PsycheError FUNDING_JOURNAL_INVALID: going on without it could pay twice
 */
export async function readFundingJournal(path: string): Promise<SignedBytes[]> {
  let text: string;
  try {
    text = await Deno.readTextFile(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return [];
    throw error;
  }
  try {
    const { pending } = JSON.parse(text) as { pending: Record<string, unknown>[] };
    return pending.map(({ signature, lastValidBlockHeight, transaction }) => {
      if (
        typeof signature !== "string" || typeof transaction !== "string" ||
        typeof lastValidBlockHeight !== "number"
      ) throw new TypeError("incomplete entry");
      const bytes = new Uint8Array(Buffer.from(transaction, "base64"));
      return { signature, bytes, lastValidBlockHeight };
    });
  } catch (cause) {
    throw new PsycheError(
      "FUNDING_JOURNAL_INVALID",
      `${path} should list transfers under way and cannot be read; wait two minutes, look at the ` +
        `sender's last transactions, then delete the file and run the command again.`,
      { cause },
    );
  }
}

export async function removeFundingJournal(path: string): Promise<void> {
  await Deno.remove(path).catch((error) => {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  });
}

/**
 * Runs `work` while no other process works with this journal; the system lets go of the lock when
 * the process ends, however it ends.
 * @throws PsycheError FUNDING_UNDER_WAY
 */
export async function withFundingLock<T>(path: string, work: () => Promise<T>): Promise<T> {
  await Deno.mkdir(dirname(path), { recursive: true });
  using file = await Deno.open(`${path}.lock`, { create: true, write: true });
  if (!await file.tryLock(true)) {
    throw new PsycheError(
      "FUNDING_UNDER_WAY",
      "Another process is funding accounts from this wallet; wait until it has finished.",
    );
  }
  try {
    return await work();
  } finally {
    await file.unlock();
  }
}
