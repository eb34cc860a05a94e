/**
 * Strict decoder of legacy and version-0 transactions: the only door to the native addon.
 *
 * The addon aborts the whole process on some malformed inputs, so a transaction reaches it only
 * when every length, index and count below has been checked. Nothing here allocates more than the
 * packet size.
 */
import { PsycheError } from "../error.ts";

/** The most bytes a serialized transaction may have. */
export const MAX_TRANSACTION_BYTES = 1232;

export interface WireInstruction {
  programIndex: number;
  /** One key index a byte. */
  accounts: Uint8Array;
  data: Uint8Array;
}

export interface WireLookup {
  /** Address of the lookup table, 32 bytes. */
  table: Uint8Array;
  writable: Uint8Array;
  readonly: Uint8Array;
}

export interface WireMessage {
  version: "legacy" | 0;
  requiredSignatures: number;
  readonlySigned: number;
  readonlyUnsigned: number;
  /** Static keys, 32 bytes each. */
  keys: Uint8Array[];
  blockhash: Uint8Array;
  instructions: WireInstruction[];
  lookups: WireLookup[];
}

export interface WireTransaction extends WireMessage {
  /** The whole transaction as received. */
  bytes: Uint8Array;
  /** The signed part of `bytes`. */
  messageBytes: Uint8Array;
  /** 64 bytes each, as many as `requiredSignatures`. */
  signatures: Uint8Array[];
}

class Reader {
  #at = 0;
  constructor(readonly bytes: Uint8Array) {}

  get position(): number {
    return this.#at;
  }

  get done(): boolean {
    return this.#at === this.bytes.length;
  }

  byte(what: string): number {
    if (this.#at >= this.bytes.length) malformed(`it ends where ${what} should be`);
    return this.bytes[this.#at++];
  }

  peek(what: string): number {
    const value = this.byte(what);
    this.#at--;
    return value;
  }

  take(length: number, what: string): Uint8Array {
    if (this.#at + length > this.bytes.length) malformed(`it ends inside ${what}`);
    return this.bytes.subarray(this.#at, this.#at += length);
  }

  /** A compact-u16 in its shortest form; anything longer has two spellings and is refused. */
  length(what: string): number {
    let value = 0;
    for (let i = 0; i < 3; i++) {
      const byte = this.byte(what);
      if (byte === 0 && i > 0) malformed(`the length of ${what} is not in its shortest form`);
      value |= (byte & 0x7f) << (7 * i);
      if (byte < 0x80) {
        if (value > 0xffff) break;
        return value;
      }
    }
    return malformed(`the length of ${what} is more than 16 bits`);
  }
}

function malformed(detail: string): never {
  throw new PsycheError(
    "TRANSACTION_MALFORMED",
    `The transaction cannot be decoded: ${detail}; serialize it again with a Solana client library.`,
  );
}

/**
 * Decodes and checks one serialized transaction.
 *
 * @throws PsycheError `TRANSACTION_MALFORMED`, or `TRANSACTION_VERSION_UNSUPPORTED` for versions
 * other than legacy and 0.
 */
export function decodeTransaction(bytes: Uint8Array): WireTransaction {
  if (bytes.length > MAX_TRANSACTION_BYTES) {
    malformed(`it has ${bytes.length} bytes and at most ${MAX_TRANSACTION_BYTES} are allowed`);
  }
  const reader = new Reader(bytes);
  // Newer versions put the version byte first; a legacy count of 128 signatures cannot fit.
  if (bytes.length > 0 && bytes[0] >= 0x80) unsupported(bytes[0] & 0x7f);
  const count = reader.length("the signatures");
  if (count === 0) malformed("it has no signatures");
  const signatures: Uint8Array[] = [];
  for (let i = 0; i < count; i++) signatures.push(reader.take(64, `signature ${i}`));
  const messageBytes = bytes.subarray(reader.position);
  const message = decodeMessage(messageBytes);
  if (message.requiredSignatures !== count) {
    malformed(`it has ${count} signatures and its header asks for ${message.requiredSignatures}`);
  }
  return { ...message, bytes, messageBytes, signatures };
}

function unsupported(version: number): never {
  throw new PsycheError(
    "TRANSACTION_VERSION_UNSUPPORTED",
    `Transactions of version ${version} are not supported by this localnet; send a legacy or a version 0 transaction.`,
  );
}

/** Decodes and checks one message (a transaction without its signatures). Throws as {@linkcode decodeTransaction}. */
export function decodeMessage(bytes: Uint8Array): WireMessage {
  if (bytes.length > MAX_TRANSACTION_BYTES) malformed(`its message has ${bytes.length} bytes`);
  const reader = new Reader(bytes);
  let version: "legacy" | 0 = "legacy";
  if (reader.peek("the message") >= 0x80) {
    const number = reader.byte("the version") & 0x7f;
    if (number !== 0) unsupported(number);
    version = 0;
  }
  const requiredSignatures = reader.byte("the header");
  const readonlySigned = reader.byte("the header");
  const readonlyUnsigned = reader.byte("the header");
  const keys: Uint8Array[] = [];
  const keyCount = reader.length("the account keys");
  for (let i = 0; i < keyCount; i++) keys.push(reader.take(32, `account key ${i}`));
  if (requiredSignatures === 0 || readonlySigned >= requiredSignatures) {
    malformed("no writable signer can pay its fee");
  }
  if (requiredSignatures + readonlyUnsigned > keyCount) {
    malformed(`its header counts more keys than the ${keyCount} it has`);
  }
  const blockhash = reader.take(32, "the blockhash");
  const instructions: WireInstruction[] = [];
  const instructionCount = reader.length("the instructions");
  for (let i = 0; i < instructionCount; i++) {
    const programIndex = reader.byte(`instruction ${i}`);
    const accounts = reader.take(reader.length("the accounts"), `instruction ${i}`);
    const data = reader.take(reader.length("the data"), `instruction ${i}`);
    instructions.push({ programIndex, accounts, data });
  }
  const lookups = version === 0 ? decodeLookups(reader) : [];
  if (!reader.done) malformed(`${bytes.length - reader.position} bytes follow its end`);

  const loaded = lookups.reduce((sum, it) => sum + it.writable.length + it.readonly.length, 0);
  const total = keyCount + loaded;
  if (total > 256) malformed(`it uses ${total} accounts and at most 256 can be indexed`);
  for (const [i, instruction] of instructions.entries()) {
    // Index 0 pays the fee and can never be a program; programs never come from lookup tables.
    if (instruction.programIndex === 0 || instruction.programIndex >= keyCount) {
      malformed(`instruction ${i} calls account ${instruction.programIndex} of ${keyCount}`);
    }
    for (const index of instruction.accounts) {
      if (index >= total) malformed(`instruction ${i} uses account ${index} of ${total}`);
    }
  }
  return {
    version,
    requiredSignatures,
    readonlySigned,
    readonlyUnsigned,
    keys,
    blockhash,
    instructions,
    lookups,
  };
}

function decodeLookups(reader: Reader): WireLookup[] {
  const lookups: WireLookup[] = [];
  const count = reader.length("the lookup tables");
  for (let i = 0; i < count; i++) {
    const what = `lookup table ${i}`;
    const table = reader.take(32, what);
    const writable = reader.take(reader.length(what), what);
    const readonly = reader.take(reader.length(what), what);
    if (writable.length + readonly.length === 0) malformed(`${what} loads no account`);
    lookups.push({ table, writable, readonly });
  }
  return lookups;
}

/** Whether the static key at `index` may be written, by the header alone. */
export function isStaticWritable(message: WireMessage, index: number): boolean {
  return index < message.requiredSignatures
    ? index < message.requiredSignatures - message.readonlySigned
    : index < message.keys.length - message.readonlyUnsigned;
}
