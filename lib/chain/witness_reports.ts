/** What witnesses reported beside their proofs: only in their transactions, not in any account. */
import type { Connection, PublicKey } from "@solana/web3.js";
import type { WitnessMetadata } from "./borsh_values.ts";

/** Of the instruction `witness`, docs/protocol/onchain-coordinator.md section 4.9. */
const DISCRIMINATOR = [213, 244, 149, 25, 142, 223, 21, 39];
/** Discriminator, proof, two filters and the merkle root stand before the metadata. */
const METADATA_START = 8 + 17 + 2 * 192 + 32;
const METADATA_SIZE = 389;
const NAME_SIZE = 32;
const MAX_EVALS = 8;
const MAX_TOKENS = 16;

/** Transactions that are asked for at the same time. */
const CONCURRENCY = 8;

export interface WitnessReport {
  signature: string;
  slot: number;
  witness: PublicKey;
  metadata: WitnessMetadata;
}

/**
 * The metadata in the data of a `witness` instruction (section 1.6), or null for any other data.
 * Numbers are as the sender wrote them, which nobody checks.
 */
export function decodeWitnessMetadata(data: Uint8Array): WitnessMetadata | null {
  const isWitness = data.length === METADATA_START + METADATA_SIZE &&
    DISCRIMINATOR.every((byte, i) => data[i] === byte);
  if (!isWitness) return null;
  const view = new DataView(data.buffer, data.byteOffset + METADATA_START, METADATA_SIZE);
  const evalsEnd = 16 + MAX_EVALS * (NAME_SIZE + 4);
  const tokensStart = evalsEnd + 8;
  const tokensEnd = tokensStart + MAX_TOKENS * 4;
  const count = (at: number, most: number) => Math.min(most, Number(view.getBigUint64(at, true)));
  const evals = Array.from({ length: count(evalsEnd, MAX_EVALS) }, (_, i) => {
    const at = 16 + i * (NAME_SIZE + 4);
    const name = data.subarray(METADATA_START + at, METADATA_START + at + NAME_SIZE);
    const end = name.indexOf(0);
    return {
      name: new TextDecoder().decode(end < 0 ? name : name.subarray(0, end)),
      value: view.getFloat32(at + NAME_SIZE, true),
    };
  });
  return {
    step: view.getUint32(0, true),
    tokensPerSecond: view.getFloat32(4, true),
    bandwidthPerSecond: view.getFloat32(8, true),
    loss: view.getFloat32(12, true),
    evals,
    promptResults: Array.from(
      { length: count(tokensEnd, MAX_TOKENS) },
      (_, i) => view.getInt32(tokensStart + 4 * i, true),
    ),
    promptIndex: view.getUint8(tokensEnd + 8),
    efficiency: view.getFloat32(tokensEnd + 9, true),
  };
}

/**
 * Reports among the latest transactions of a run, newest first.
 *
 * @param options.transactions how many of the run's latest transactions are looked at, at most 1000
 */
export async function fetchWitnessReports(
  connection: Connection,
  coordinatorAccount: PublicKey,
  { programId, transactions }: { programId: PublicKey; transactions: number },
): Promise<WitnessReport[]> {
  const found = await connection.getSignaturesForAddress(coordinatorAccount, {
    limit: transactions,
  });
  const succeeded = found.filter(({ err }) => err === null);
  const reports: WitnessReport[] = [];
  for (let start = 0; start < succeeded.length; start += CONCURRENCY) {
    const some = await Promise.all(
      succeeded.slice(start, start + CONCURRENCY).map(({ signature }) =>
        readReports(connection, signature, programId)
      ),
    );
    reports.push(...some.flat());
  }
  return reports;
}

async function readReports(
  connection: Connection,
  signature: string,
  programId: PublicKey,
): Promise<WitnessReport[]> {
  const found = await connection.getTransaction(signature, {
    commitment: "confirmed",
    maxSupportedTransactionVersion: 0,
  });
  if (found === null) return [];
  const { staticAccountKeys: keys, compiledInstructions } = found.transaction.message;
  return compiledInstructions.flatMap(({ programIdIndex, accountKeyIndexes, data }) => {
    const metadata = keys[programIdIndex]?.equals(programId) ? decodeWitnessMetadata(data) : null;
    const witness = keys[accountKeyIndexes[0]];
    return metadata && witness ? [{ signature, slot: found.slot, witness, metadata }] : [];
  });
}
