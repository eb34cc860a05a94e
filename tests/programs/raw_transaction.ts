/** Transactions without the size limit and the cost of web3.js's builder. */
import type { PublicKey, TransactionInstruction } from "@solana/web3.js";
import { Buffer } from "node:buffer";

/** The parts of an instruction, with keys as bytes. */
export interface RawInstruction {
  programId: Uint8Array;
  keys: { key: Uint8Array; isSigner: boolean; isWritable: boolean }[];
  data: Uint8Array;
}

/** `instruction` with its keys as bytes. */
export function rawInstruction(instruction: TransactionInstruction): RawInstruction {
  return {
    programId: instruction.programId.toBytes(),
    keys: instruction.keys.map(({ pubkey, isSigner, isWritable }) => ({
      key: pubkey.toBytes(),
      isSigner,
      isWritable,
    })),
    data: instruction.data,
  };
}

/** A legacy transaction of one instruction, paid by `feePayer`, with signatures of zeros. */
export function encodeTransaction(
  feePayer: PublicKey,
  instruction: RawInstruction,
): Uint8Array {
  const metas = new Map<string, { key: Uint8Array; signer: boolean; writable: boolean }>();
  const add = (key: Uint8Array, signer: boolean, writable: boolean) => {
    const name = Buffer.from(key).toString("latin1");
    const known = metas.get(name);
    if (!known) metas.set(name, { key, signer, writable });
    else {
      known.signer ||= signer;
      known.writable ||= writable;
    }
    return name;
  };
  add(feePayer.toBytes(), true, true);
  const names = instruction.keys.map((k) => add(k.key, k.isSigner, k.isWritable));
  const program = add(instruction.programId, false, false);
  // Signers before others, writable accounts before read-only ones; the fee payer stays first.
  const rank = (meta: { signer: boolean; writable: boolean }) =>
    (meta.signer ? 0 : 2) + (meta.writable ? 0 : 1);
  const order = [...metas].sort(([, a], [, b]) => rank(a) - rank(b));
  const index = new Map(order.map(([name], i) => [name, i]));
  const count = (wanted: number) => order.filter(([, meta]) => rank(meta) === wanted).length;
  const signers = count(0) + count(1);
  return Buffer.concat([
    length(signers),
    new Uint8Array(64 * signers),
    Uint8Array.of(signers, count(1), count(3)),
    length(order.length),
    ...order.map(([, meta]) => meta.key),
    new Uint8Array(32), // blockhash: not checked
    length(1),
    Uint8Array.of(index.get(program)!),
    length(names.length),
    Uint8Array.from(names, (name) => index.get(name)!),
    length(instruction.data.length),
    instruction.data,
  ]);
}

/** Solana's compact u16. */
function length(value: number): Uint8Array {
  if (value < 0x80) return Uint8Array.of(value);
  if (value < 0x4000) return Uint8Array.of(value & 0x7f | 0x80, value >> 7);
  return Uint8Array.of(value & 0x7f | 0x80, value >> 7 & 0x7f | 0x80, value >> 14);
}
