/** Puts a program's IDL on chain, where explorers and Anchor's tools look for it. */
import type { Idl } from "@coral-xyz/anchor";
import { type Connection, Keypair, type PublicKey, SystemProgram } from "@solana/web3.js";
import type { TransactionInstruction } from "@solana/web3.js";
import { PsycheError } from "../error.ts";
import * as account from "./idl_account.ts";
import { sendInstructions } from "./send.ts";

export interface PublishIdlOptions {
  connection: Connection;
  /** Pays, and is the authority of the IDL account. */
  payer: Keypair;
  programId: PublicKey;
  /** Its address is replaced by `programId`. */
  idl: Idl;
  priorityFeeMicroLamports?: number;
  onProgress?: (done: number, total: number) => void;
  signal?: AbortSignal;
}

export interface PublishedIdl {
  address: PublicKey;
  action: "created" | "updated" | "unchanged";
  /** Bytes on chain, compressed. */
  bytes: number;
}

/** What of an IDL goes into one transaction, with a compute limit and a priority fee beside it. */
const CHUNK_BYTES = 800;

/**
 * Publish `idl` as that of the program at `programId`, created or replaced, and read it back.
 *
 * A replacement is complete or does not happen, where the account has room for it; otherwise the
 * account is made anew. A first publication that was interrupted goes on where it stopped.
 * @throws PsycheError IDL_NOT_OURS when another authority published one, IDL_NOT_VERIFIED, IDL_INVALID,
 *   and what sending throws
 */
export async function publishIdl(options: PublishIdlOptions): Promise<PublishedIdl> {
  const { connection, programId, payer } = options;
  const address = account.idlAddress(programId);
  const idl = { ...options.idl, address: programId.toBase58() };
  const packed = account.packIdl(idl);
  const present = await readIdlAccount(connection, programId);
  if (present && !present.authority.equals(payer.publicKey)) {
    throw new PsycheError(
      "IDL_NOT_OURS",
      `The IDL of ${programId.toBase58()} belongs to ${present.authority.toBase58()}, not to ${payer.publicKey.toBase58()}; publish it with that wallet.`,
    );
  }
  const action = present === null ? "created" : "updated";
  if (present !== null && holds(present, idl)) {
    return { address, action: "unchanged", bytes: present.data.length };
  }
  if (present !== null && isPrefix(present.data, packed) && present.capacity >= packed.length) {
    await append(options, address, packed.subarray(present.data.length));
  } else if (present !== null && present.capacity >= packed.length) {
    await replace(options, packed);
  } else {
    if (present !== null) {
      await send(options, [account.closeIdl(programId, address, payer.publicKey)]);
    }
    await create(options, address, packed);
  }
  const result = await readIdlAccount(connection, programId);
  if (result === null || !isPrefix(packed, result.data)) {
    throw new PsycheError(
      "IDL_NOT_VERIFIED",
      `The IDL account ${address.toBase58()} does not hold what was sent; publish the IDL again.`,
    );
  }
  return { address, action, bytes: packed.length };
}

/** The IDL account of a program; `null` when there is none. @throws PsycheError IDL_INVALID */
export async function readIdlAccount(
  connection: Connection,
  programId: PublicKey,
): Promise<account.IdlAccount | null> {
  const address = account.idlAddress(programId);
  const found = await connection.getAccountInfo(address);
  // Lamports that somebody sent there are no IDL.
  if (found === null || !found.owner.equals(programId)) return null;
  return account.decodeIdlAccount(address, found.data);
}

/** Whether this IDL is there, however it was compressed. */
function holds({ data }: account.IdlAccount, idl: Idl): boolean {
  try {
    return JSON.stringify(account.unpackIdl(data)) === JSON.stringify(idl);
  } catch (error) {
    if (error instanceof PsycheError) return false; // not complete
    throw error;
  }
}

/** Whether `whole` starts with `part`. */
function isPrefix(part: Uint8Array, whole: Uint8Array): boolean {
  return part.length <= whole.length && part.every((byte, i) => byte === whole[i]);
}

/** With as much room again for later versions, as Anchor's own tool does. */
async function create(options: PublishIdlOptions, address: PublicKey, packed: Uint8Array) {
  const { programId, payer } = options;
  const capacity = 2 * packed.length;
  const instructions = [account.createIdl(programId, payer.publicKey, capacity)];
  const total = account.IDL_HEADER_BYTES + capacity;
  for (let size = account.IDL_STEP_BYTES; size < total; size += account.IDL_STEP_BYTES) {
    instructions.push(account.resizeIdl(programId, address, payer.publicKey, total));
  }
  // One transaction an instruction: an account grows by about 10 KB in one at most.
  for (const instruction of instructions) await send(options, [instruction]);
  await append(options, address, packed);
}

async function append(options: PublishIdlOptions, target: PublicKey, bytes: Uint8Array) {
  const { programId, payer } = options;
  const total = Math.ceil(bytes.length / CHUNK_BYTES);
  for (let i = 0; i < total; i++) {
    const chunk = bytes.subarray(i * CHUNK_BYTES, (i + 1) * CHUNK_BYTES);
    await send(options, [account.writeIdl(programId, target, payer.publicKey, chunk)]);
    options.onProgress?.(i + 1, total);
  }
}

/** By a buffer, so that readers see the old IDL until the new one is complete. */
async function replace(options: PublishIdlOptions, packed: Uint8Array) {
  const { connection, programId, payer } = options;
  const buffer = Keypair.generate();
  const space = account.IDL_HEADER_BYTES + packed.length;
  await send(options, [
    SystemProgram.createAccount({
      fromPubkey: payer.publicKey,
      newAccountPubkey: buffer.publicKey,
      lamports: await connection.getMinimumBalanceForRentExemption(space),
      space,
      programId,
    }),
    account.createIdlBuffer(programId, buffer.publicKey, payer.publicKey),
  ], [buffer]);
  await append(options, buffer.publicKey, packed);
  await send(options, [
    account.setIdlBuffer(programId, buffer.publicKey, payer.publicKey),
    account.closeIdl(programId, buffer.publicKey, payer.publicKey),
  ]);
}

async function send(
  options: PublishIdlOptions,
  instructions: TransactionInstruction[],
  signers: Keypair[] = [],
): Promise<void> {
  await sendInstructions({ ...options, label: "Publishing the IDL", instructions, signers });
}
