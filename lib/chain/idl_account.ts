/**
 * The account that holds a program's own IDL, and the instructions every Anchor program has for it
 * (docs/protocol/onchain-common.md section 4, step 2).
 */
import type { Idl } from "@coral-xyz/anchor";
import { PublicKey, SystemProgram, TransactionInstruction } from "@solana/web3.js";
import { Buffer } from "node:buffer";
import { createHash } from "node:crypto";
import { deflateSync, inflateSync } from "node:zlib";
import { PsycheError } from "../error.ts";

/** Discriminator, authority and length, in front of the compressed IDL. */
export const IDL_HEADER_BYTES = 44;

/** Bytes that one create or resize instruction gives an account at most. */
export const IDL_STEP_BYTES = 10_000;

/** Most bytes that an IDL may have when it is unpacked. */
const MAX_IDL_BYTES = 4 * 1024 * 1024;

const TAG = Buffer.from("40f4bc78a7e9690a", "hex");
const DISCRIMINATOR = "184662bf3a907b9e";
const SEED = "anchor:idl";

export interface IdlAccount {
  /** Who may change the IDL. */
  authority: PublicKey;
  /** The compressed IDL, as far as it is written. */
  data: Uint8Array;
  /** Bytes of IDL the account has room for. */
  capacity: number;
}

/** The address that signs when the IDL account of `programId` is created. */
function idlBase(programId: PublicKey): PublicKey {
  return PublicKey.findProgramAddressSync([], programId)[0];
}

/** Where the IDL of `programId` is. */
export function idlAddress(programId: PublicKey): PublicKey {
  const parts = [idlBase(programId).toBytes(), Buffer.from(SEED), programId.toBytes()];
  return new PublicKey(createHash("sha256").update(Buffer.concat(parts)).digest());
}

/** An IDL as its account holds it: JSON, compressed by zlib. */
export function packIdl(idl: Idl): Uint8Array {
  return deflateSync(JSON.stringify(idl), { level: 9 });
}

/** @throws PsycheError IDL_INVALID when it is no compressed JSON object, or larger than 4 MiB unpacked. */
export function unpackIdl(data: Uint8Array): Idl {
  try {
    const idl = JSON.parse(inflateSync(data, { maxOutputLength: MAX_IDL_BYTES }).toString("utf8"));
    if (typeof idl === "object" && idl !== null) return idl;
  } catch { /* reported below */ }
  throw new PsycheError(
    "IDL_INVALID",
    `The ${data.length} bytes of the IDL account are not a compressed IDL; publish it again.`,
  );
}

/**
 * Decode an IDL account or a buffer.
 * @throws PsycheError IDL_INVALID
 */
export function decodeIdlAccount(address: PublicKey, data: Uint8Array): IdlAccount {
  const bytes = Buffer.from(data.buffer, data.byteOffset, data.byteLength);
  const isIdl = bytes.length >= IDL_HEADER_BYTES &&
    bytes.subarray(0, 8).toString("hex") === DISCRIMINATOR;
  const length = isIdl ? bytes.readUInt32LE(40) : 0;
  if (!isIdl || length > bytes.length - IDL_HEADER_BYTES) {
    throw new PsycheError(
      "IDL_INVALID",
      `The account ${address.toBase58()} (${data.length} bytes) is not an IDL account; check the program's address.`,
    );
  }
  return {
    authority: new PublicKey(bytes.subarray(8, 40)),
    data: Uint8Array.from(bytes.subarray(IDL_HEADER_BYTES, IDL_HEADER_BYTES + length)),
    capacity: bytes.length - IDL_HEADER_BYTES,
  };
}

type Flags = "" | "w" | "s" | "ws";

function instruction(
  programId: PublicKey,
  number: number,
  argument: Uint8Array,
  keys: [PublicKey, Flags][],
): TransactionInstruction {
  return new TransactionInstruction({
    programId,
    keys: keys.map(([pubkey, flags]) => ({
      pubkey,
      isSigner: flags.includes("s"),
      isWritable: flags.includes("w"),
    })),
    data: Buffer.concat([TAG, Uint8Array.of(number), argument]),
  });
}

function u64(value: number): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(BigInt(value));
  return bytes;
}

/** Creates the IDL account for `length` bytes of IDL, or the first part of it; `from` pays and owns it. */
export function createIdl(programId: PublicKey, from: PublicKey, length: number) {
  return instruction(programId, 0, u64(length), [
    [from, "ws"],
    [idlAddress(programId), "w"],
    [idlBase(programId), ""],
    [SystemProgram.programId, ""],
    [programId, ""],
  ]);
}

/** Makes an account that was created for this (by the system program) a buffer. */
export function createIdlBuffer(programId: PublicKey, buffer: PublicKey, authority: PublicKey) {
  return instruction(programId, 1, Buffer.alloc(0), [[buffer, "w"], [authority, "s"]]);
}

/** Appends `bytes` to an IDL account or a buffer. */
export function writeIdl(
  programId: PublicKey,
  account: PublicKey,
  authority: PublicKey,
  bytes: Uint8Array,
) {
  const length = Buffer.alloc(4);
  length.writeUInt32LE(bytes.length);
  const keys: [PublicKey, Flags][] = [[account, "w"], [authority, "s"]];
  return instruction(programId, 2, Buffer.concat([length, bytes]), keys);
}

/** Replaces the IDL by the content of a buffer of the same authority. */
export function setIdlBuffer(programId: PublicKey, buffer: PublicKey, authority: PublicKey) {
  const keys: [PublicKey, Flags][] = [
    [buffer, "w"],
    [idlAddress(programId), "w"],
    [authority, "s"],
  ];
  return instruction(programId, 3, Buffer.alloc(0), keys);
}

/** Hands an IDL account or a buffer to another authority. */
export function setIdlAuthority(
  programId: PublicKey,
  account: PublicKey,
  authority: PublicKey,
  newAuthority: PublicKey,
) {
  const keys: [PublicKey, Flags][] = [[account, "w"], [authority, "s"]];
  return instruction(programId, 4, newAuthority.toBytes(), keys);
}

/** Closes an IDL account or a buffer into `destination`. */
export function closeIdl(
  programId: PublicKey,
  account: PublicKey,
  authority: PublicKey,
  destination: PublicKey = authority,
) {
  const keys: [PublicKey, Flags][] = [[account, "w"], [authority, "s"], [destination, "w"]];
  return instruction(programId, 5, Buffer.alloc(0), keys);
}

/** Lets an empty IDL account grow towards `dataLength` bytes in all, the authority pays. */
export function resizeIdl(
  programId: PublicKey,
  account: PublicKey,
  authority: PublicKey,
  dataLength: number,
) {
  const keys: [PublicKey, Flags][] = [
    [account, "w"],
    [authority, "ws"],
    [SystemProgram.programId, ""],
  ];
  return instruction(programId, 6, u64(dataLength), keys);
}
