/**
 * Writing a program into a loader buffer, several hundred small transactions at once.
 *
 * Messages are put together as bytes and signed by WebCrypto: web3.js would take longer to sign
 * than a localnet takes to execute.
 */
import { ComputeBudgetProgram, type Connection, type Keypair, PublicKey } from "@solana/web3.js";
import bs58 from "bs58";
import { PsycheError } from "../error.ts";
import { BUFFER_HEADER_BYTES, LOADER_V3, writeData } from "./loader_v3.ts";
import { transactionFailure } from "./program_error.ts";
import { settleTransactions } from "./settle_transactions.ts";
import { MAX_TRANSACTION_BYTES } from "./transaction.ts";

export interface WriteBufferOptions {
  connection: Connection;
  payer: Keypair;
  authority: Keypair;
  buffer: PublicKey;
  so: Uint8Array;
  /** Micro-lamports for each compute unit. */
  priorityFeeMicroLamports?: number;
  onProgress?: (done: number, total: number) => void;
  signal?: AbortSignal;
}

/** Requests at the same time. */
const CONCURRENCY = 32;
/** Rounds of "write what differs, read back" before giving up. */
const MAX_ROUNDS = 5;

/**
 * Bring the buffer's content to `so`, writing only the chunks that differ from what is there.
 * @returns the number of write transactions that landed
 * @throws TransactionFailedError, PsycheError BUFFER_INCOMPLETE, TRANSACTION_UNCERTAIN, RPC_...
 */
export async function writeBuffer(options: WriteBufferOptions): Promise<number> {
  const { connection, buffer, so, onProgress } = options;
  const signers = await transactionSigners(options);
  const chunkBytes = MAX_TRANSACTION_BYTES - signers.overheadBytes;
  const chunks = Math.ceil(so.length / chunkBytes);
  let written = 0;
  for (let round = 0; round < MAX_ROUNDS; round++) {
    const account = await connection.getAccountInfo(buffer);
    const present = account?.data.subarray(BUFFER_HEADER_BYTES) ?? new Uint8Array(0);
    const differing: number[] = [];
    for (let i = 0; i < chunks; i++) {
      const [start, end] = [i * chunkBytes, Math.min(so.length, (i + 1) * chunkBytes)];
      for (let at = start; at < end; at++) {
        if (present[at] === so[at]) continue;
        differing.push(start);
        break;
      }
    }
    let done = chunks - differing.length;
    onProgress?.(done, chunks);
    if (differing.length === 0) return written;
    await writeChunks(options, signers, differing, chunkBytes, () => {
      written++;
      onProgress?.(++done, chunks);
    });
  }
  throw new PsycheError(
    "BUFFER_INCOMPLETE",
    `The buffer ${buffer.toBase58()} still differs from the program file after ${MAX_ROUNDS} rounds of writing; run the command again, it goes on from there.`,
  );
}

async function writeChunks(
  options: WriteBufferOptions,
  signers: TransactionSigners,
  offsets: number[],
  chunkBytes: number,
  onLanded: () => void,
): Promise<void> {
  const { connection, buffer, so, signal } = options;
  let pending = offsets;
  while (pending.length > 0) {
    const { blockhash, lastValidBlockHeight } = await connection.getLatestBlockhash();
    const hash = bs58.decode(blockhash);
    const signed = await Promise.all(pending.map(async (offset) => {
      const data = writeData(offset, so.subarray(offset, offset + chunkBytes));
      return { ...await signers.sign(buffer, hash, data), lastValidBlockHeight };
    }));
    const settlements = await settleTransactions(connection, signed, {
      signal,
      concurrency: CONCURRENCY,
      onSettled(_, settlement) {
        if (settlement.kind === "expired") return;
        if (settlement.err) throw writeFailure(settlement.err, options, []);
        onLanded();
      },
      onRefused(err, logs) {
        throw writeFailure(err, options, logs);
      },
    });
    pending = pending.filter((_, i) => settlements[i].kind === "expired");
  }
}

function writeFailure(err: unknown, options: WriteBufferOptions, logs: string[]) {
  return transactionFailure(err, {
    label: "Writing the program",
    payer: options.payer.publicKey.toBase58(),
    instructions: [],
    logs,
  });
}

interface TransactionSigners {
  /** Bytes of a write transaction besides the program's. */
  overheadBytes: number;
  sign(
    buffer: PublicKey,
    blockhash: Uint8Array,
    data: Uint8Array,
  ): Promise<{ signature: string; bytes: Uint8Array }>;
}

/** Compute limit of a write; the loader takes 2370 units. */
const WRITE_UNITS = 10_000;

/** Signs write transactions: payer first, the authority too when it is another key. */
async function transactionSigners(options: WriteBufferOptions): Promise<TransactionSigners> {
  const { payer, authority, priorityFeeMicroLamports: price = 0 } = options;
  const keypairs = payer.publicKey.equals(authority.publicKey) ? [payer] : [payer, authority];
  const signingKeys = await Promise.all(keypairs.map(signingKey));
  const count = keypairs.length;
  const programs = price > 0 ? [LOADER_V3, ComputeBudgetProgram.programId] : [LOADER_V3];
  const [buffer, loader, computeBudget] = [count, count + 1, count + 2]; // positions in the key list
  const budget = price > 0
    ? [
      ComputeBudgetProgram.setComputeUnitLimit({ units: WRITE_UNITS }),
      ComputeBudgetProgram.setComputeUnitPrice({ microLamports: price }),
    ].flatMap(({ data }) => [computeBudget, 0, data.length, ...data])
    : [];
  const instructions = price > 0 ? 3 : 1;

  const messageOf = (bufferKey: PublicKey, blockhash: Uint8Array, data: Uint8Array) =>
    Uint8Array.from([
      ...[count, count - 1, programs.length], // signers; read-only signers; read-only others
      count + 1 + programs.length,
      ...keypairs.flatMap(({ publicKey }) => [...publicKey.toBytes()]),
      ...bufferKey.toBytes(),
      ...programs.flatMap((program) => [...program.toBytes()]),
      ...blockhash,
      instructions,
      ...budget,
      ...[loader, 2, buffer, count - 1], // accounts of a write: the buffer, its authority
      ...shortLength(data.length),
      ...data,
    ]);
  const empty = messageOf(LOADER_V3, new Uint8Array(32), writeData(0, new Uint8Array(0)));
  return {
    overheadBytes: 1 + 64 * count + empty.length + 1, // the length of real data takes a byte more
    async sign(bufferKey, blockhash, data) {
      const message = messageOf(bufferKey, blockhash, data);
      const signatures = await Promise.all(
        signingKeys.map((key) => crypto.subtle.sign("Ed25519", key, message)),
      );
      const parts = signatures.flatMap((signature) => [...new Uint8Array(signature)]);
      return {
        signature: bs58.encode(new Uint8Array(signatures[0])),
        bytes: Uint8Array.from([count, ...parts, ...message]),
      };
    },
  };
}

/** PKCS #8 wrapping of a 32-byte Ed25519 seed. */
const PKCS8_PREFIX = [48, 46, 2, 1, 0, 48, 5, 6, 3, 43, 101, 112, 4, 34, 4, 32];

function signingKey(keypair: Keypair): Promise<CryptoKey> {
  const pkcs8 = Uint8Array.from([...PKCS8_PREFIX, ...keypair.secretKey.subarray(0, 32)]);
  return crypto.subtle.importKey("pkcs8", pkcs8, "Ed25519", false, ["sign"]);
}

/** Solana's compact-u16. */
function shortLength(length: number): number[] {
  return length < 0x80 ? [length] : [(length & 0x7f) | 0x80, length >> 7];
}
