/**
 * The upgradeable loader (BPFLoaderUpgradeab1e...): instructions and account layouts.
 * Instructions are bincode: a u32 tag, then little-endian fields; byte vectors have a u64 length.
 */
import {
  PublicKey,
  SystemProgram,
  SYSVAR_CLOCK_PUBKEY,
  SYSVAR_RENT_PUBKEY,
  TransactionInstruction,
} from "@solana/web3.js";
import { Buffer } from "node:buffer";

export const LOADER_V3: PublicKey = new PublicKey("BPFLoaderUpgradeab1e11111111111111111111111");

/** Bytes before the program in a buffer account: tag u32, optional authority. */
export const BUFFER_HEADER_BYTES = 37;
/** Size of a program account: tag u32, programdata address. */
export const PROGRAM_ACCOUNT_BYTES = 36;
/** Bytes before the program in a programdata account: tag u32, slot u64, optional authority. */
export const PROGRAM_DATA_HEADER_BYTES = 45;

const TAG = { buffer: 1, program: 2, programData: 3 };

export function programDataAddress(program: PublicKey): PublicKey {
  return PublicKey.findProgramAddressSync([program.toBytes()], LOADER_V3)[0];
}

export function initializeBuffer(buffer: PublicKey, authority: PublicKey): TransactionInstruction {
  return instruction(tag(0), [[buffer, "w"], [authority]]);
}

/** Data of a write instruction; accounts: buffer (writable), authority (signer). */
export function writeData(offset: number, bytes: Uint8Array): Uint8Array {
  const data = new Uint8Array(16 + bytes.length);
  const view = new DataView(data.buffer);
  view.setUint32(0, 1, true);
  view.setUint32(4, offset, true);
  view.setBigUint64(8, BigInt(bytes.length), true);
  data.set(bytes, 16);
  return data;
}

export function deployWithMaxDataLen(options: {
  payer: PublicKey;
  program: PublicKey;
  buffer: PublicKey;
  authority: PublicKey;
  maxDataLen: number;
}): TransactionInstruction {
  const data = Buffer.alloc(12);
  data.writeUInt32LE(2, 0);
  data.writeBigUInt64LE(BigInt(options.maxDataLen), 4);
  return instruction(data, [
    [options.payer, "ws"],
    [programDataAddress(options.program), "w"],
    [options.program, "w"],
    [options.buffer, "w"],
    [SYSVAR_RENT_PUBKEY],
    [SYSVAR_CLOCK_PUBKEY],
    [SystemProgram.programId],
    [options.authority, "s"],
  ]);
}

export function upgrade(options: {
  program: PublicKey;
  buffer: PublicKey;
  /** Receives the buffer's lamports. */
  spill: PublicKey;
  authority: PublicKey;
}): TransactionInstruction {
  return instruction(tag(3), [
    [programDataAddress(options.program), "w"],
    [options.program, "w"],
    [options.buffer, "w"],
    [options.spill, "w"],
    [SYSVAR_RENT_PUBKEY],
    [SYSVAR_CLOCK_PUBKEY],
    [options.authority, "s"],
  ]);
}

export function extendProgram(
  payer: PublicKey,
  program: PublicKey,
  additionalBytes: number,
): TransactionInstruction {
  const data = Buffer.alloc(8);
  data.writeUInt32LE(6, 0);
  data.writeUInt32LE(additionalBytes, 4);
  return instruction(data, [
    [programDataAddress(program), "w"],
    [program, "w"],
    [SystemProgram.programId],
    [payer, "ws"],
  ]);
}

/** Give up a buffer; its lamports go to `recipient`. */
export function closeBuffer(
  buffer: PublicKey,
  recipient: PublicKey,
  authority: PublicKey,
): TransactionInstruction {
  return instruction(tag(5), [[buffer, "w"], [recipient, "w"], [authority, "s"]]);
}

/** End a program for good; what its data account holds goes to `recipient`. */
export function closeProgram(
  program: PublicKey,
  recipient: PublicKey,
  authority: PublicKey,
): TransactionInstruction {
  return instruction(tag(5), [
    [programDataAddress(program), "w"],
    [recipient, "w"],
    [authority, "s"],
    [program, "w"],
  ]);
}

/** Authority of a buffer account; undefined when the data is not a buffer. */
export function bufferAuthority(data: Uint8Array): PublicKey | null | undefined {
  return authorityAt(data, TAG.buffer, 4);
}

/** Address of the programdata; undefined when the data is not a program account. */
export function programDataOf(data: Uint8Array): PublicKey | undefined {
  if (data.length < PROGRAM_ACCOUNT_BYTES || tagOf(data) !== TAG.program) return undefined;
  return new PublicKey(data.slice(4, 36));
}

/** Upgrade authority (null: final); undefined when the data is not a programdata account. */
export function programDataAuthority(data: Uint8Array): PublicKey | null | undefined {
  return authorityAt(data, TAG.programData, 12);
}

function authorityAt(data: Uint8Array, expected: number, at: number): PublicKey | null | undefined {
  if (data.length < at + 33 || tagOf(data) !== expected) return undefined;
  return data[at] === 1 ? new PublicKey(data.slice(at + 1, at + 33)) : null;
}

function tagOf(data: Uint8Array): number {
  return new DataView(data.buffer, data.byteOffset).getUint32(0, true);
}

function tag(value: number): Buffer {
  return Buffer.from(Uint32Array.of(value).buffer);
}

function instruction(
  data: Buffer,
  accounts: [PublicKey, ("w" | "s" | "ws")?][],
): TransactionInstruction {
  const keys = accounts.map(([pubkey, flags = ""]) => ({
    pubkey,
    isWritable: flags.includes("w"),
    isSigner: flags.includes("s"),
  }));
  return new TransactionInstruction({ programId: LOADER_V3, keys, data });
}
