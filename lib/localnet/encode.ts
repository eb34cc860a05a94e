/** JSON forms of accounts and transactions. */
import { zstdCompressSync } from "node:zlib";
import { toBase58 } from "./base58.ts";
import { invalidParams, RpcCode, RpcError } from "./errors.ts";
import type { TokenBalance, TransactionRecord } from "./ledger.ts";
import { parseAccount, parseInstruction } from "./parsed.ts";
import type { Config } from "./params.ts";
import type { AccountState, InnerCall, Outcome, Svm } from "./svm.ts";
import { tokenAmount } from "./token_amount.ts";
import type { WireInstruction } from "./wire.ts";

/** JSON with bigints as bare integers, so that u64 values arrive exactly. */
export function toJson(value: unknown): string {
  const raw = (JSON as unknown as { rawJSON(text: string): unknown }).rawJSON;
  return JSON.stringify(value, (_, it) => typeof it === "bigint" ? raw(it.toString()) : it);
}

const ACCOUNT_ENCODINGS = ["binary", "base58", "base64", "base64+zstd", "jsonParsed"] as const;
type AccountEncoding = (typeof ACCOUNT_ENCODINGS)[number];

/** How a client wants accounts: `encoding` and `dataSlice` of its configuration. */
export interface AccountFormat {
  encoding: AccountEncoding;
  slice?: { offset: number; length: number };
}

export function accountFormat(config: Config, otherwise: AccountEncoding = "binary") {
  const slice = config.nested("dataSlice");
  const format: AccountFormat = {
    encoding: config.choice("encoding", ACCOUNT_ENCODINGS, otherwise),
  };
  if (slice) {
    const [offset, length] = [slice.integer("offset"), slice.integer("length")];
    if (offset === undefined || length === undefined) {
      throw invalidParams("dataSlice needs offset and length");
    }
    format.slice = { offset, length };
  }
  return format;
}

/** Bytes of account data that one answer may hold; accounts have at most 10 MiB. */
const ANSWER_DATA_LIMIT = 40 * 1024 * 1024;

/** Counts account data as it is added to one answer; throws when it becomes too much. */
export function dataBudget(): (account: AccountState) => void {
  let left = ANSWER_DATA_LIMIT;
  return ({ data }) => {
    left -= data.length;
    if (left >= 0) return;
    throw new RpcError(
      RpcCode.InvalidRequest,
      `The accounts have more than ${ANSWER_DATA_LIMIT} bytes; ask for fewer at a time`,
    );
  };
}

/** Longest data that base58 is offered for; it is quadratic. */
const BASE58_LIMIT = 128;

export function encodeAccount(
  svm: Svm,
  key: Uint8Array,
  account: AccountState,
  format: AccountFormat,
) {
  return {
    data: encodeData(svm, key, account, format),
    executable: account.executable,
    lamports: account.lamports,
    owner: toBase58(account.owner),
    rentEpoch: account.rentEpoch,
    space: account.data.length,
  };
}

function encodeData(svm: Svm, key: Uint8Array, account: AccountState, format: AccountFormat) {
  const { encoding, slice } = format;
  if (encoding === "jsonParsed") {
    const parsed = parseAccount(svm, key, account);
    if (parsed) return parsed;
  }
  const bytes = slice
    ? account.data.subarray(slice.offset, slice.offset + slice.length)
    : account.data;
  if (encoding === "binary" || encoding === "base58") {
    if (bytes.length > BASE58_LIMIT) {
      throw new RpcError(
        RpcCode.InvalidRequest,
        `Encoded binary (base 58) data should be less than ${BASE58_LIMIT} bytes, please use Base64 encoding.`,
      );
    }
    return encoding === "binary" ? toBase58(bytes) : [toBase58(bytes), "base58"];
  }
  if (encoding === "base64+zstd") return [zstdCompressSync(bytes).toString("base64"), encoding];
  return [bytes.toBase64(), "base64"];
}

function encodeCall(call: WireInstruction | InnerCall) {
  return {
    accounts: [...call.accounts],
    data: toBase58(call.data),
    programIdIndex: call.programIndex,
    stackHeight: "stackHeight" in call ? call.stackHeight : null,
  };
}

export function encodeInner(inner: InnerCall[][], parsedKeys?: string[]) {
  return inner.flatMap((calls, index) =>
    calls.length === 0 ? [] : [{
      index,
      instructions: calls.map((call) =>
        parsedKeys ? parseInstruction(call, parsedKeys, call.stackHeight) : encodeCall(call)
      ),
    }]
  );
}

export function encodeReturnData(outcome: Outcome) {
  return outcome.returnData && {
    programId: toBase58(outcome.returnData.program),
    data: [outcome.returnData.data.toBase64(), "base64"],
  };
}

function encodeTokenBalance(balance: TokenBalance) {
  const { amount, decimals, ...rest } = balance;
  return { ...rest, uiTokenAmount: tokenAmount(amount, decimals) };
}

const TRANSACTION_ENCODINGS = ["json", "jsonParsed", "base58", "base64"] as const;

/** How a client wants transactions. */
export interface TransactionFormat {
  encoding: (typeof TRANSACTION_ENCODINGS)[number];
  /** The newest version it understands; undefined: legacy only. */
  maxVersion: number | undefined;
}

export function transactionFormat(config: Config): TransactionFormat {
  return {
    encoding: config.choice("encoding", TRANSACTION_ENCODINGS, "json"),
    maxVersion: config.integer("maxSupportedTransactionVersion"),
  };
}

/** `{ transaction, meta, version? }` of one record. */
export function encodeTransaction(record: TransactionRecord, format: TransactionFormat) {
  const { transaction } = record;
  if (transaction.version === 0 && format.maxVersion === undefined) {
    throw new RpcError(
      RpcCode.UnsupportedVersion,
      "Transaction version (0) is not supported by the requesting client. " +
        "Please try the request again with the following configuration parameter: " +
        '"maxSupportedTransactionVersion": 0',
    );
  }
  return {
    transaction: encodeBody(record, format.encoding),
    meta: encodeMeta(record, format.encoding === "jsonParsed"),
    ...(format.maxVersion === undefined ? {} : { version: transaction.version }),
  };
}

function encodeBody(record: TransactionRecord, encoding: TransactionFormat["encoding"]) {
  const { transaction, keys, writable } = record;
  if (encoding === "base58") return [toBase58(transaction.bytes), encoding];
  if (encoding === "base64") return [transaction.bytes.toBase64(), encoding];
  const signatures = transaction.signatures.map(toBase58);
  const recentBlockhash = toBase58(transaction.blockhash);
  const lookups = transaction.version === 0
    ? {
      addressTableLookups: transaction.lookups.map((lookup) => ({
        accountKey: toBase58(lookup.table),
        writableIndexes: [...lookup.writable],
        readonlyIndexes: [...lookup.readonly],
      })),
    }
    : {};
  if (encoding === "jsonParsed") {
    const accountKeys = keys.map((pubkey, i) => ({
      pubkey,
      signer: i < transaction.requiredSignatures,
      source: i < transaction.keys.length ? "transaction" : "lookupTable",
      writable: writable[i],
    }));
    const instructions = transaction.instructions.map((it) => parseInstruction(it, keys, 1));
    return { message: { accountKeys, instructions, recentBlockhash, ...lookups }, signatures };
  }
  return {
    message: {
      accountKeys: keys.slice(0, transaction.keys.length),
      header: {
        numReadonlySignedAccounts: transaction.readonlySigned,
        numReadonlyUnsignedAccounts: transaction.readonlyUnsigned,
        numRequiredSignatures: transaction.requiredSignatures,
      },
      instructions: transaction.instructions.map(encodeCall),
      recentBlockhash,
      ...lookups,
    },
    signatures,
  };
}

function encodeMeta(record: TransactionRecord, parsed: boolean) {
  const { outcome, transaction, keys } = record;
  const loaded = keys.slice(transaction.keys.length);
  const returnData = encodeReturnData(outcome);
  return {
    computeUnitsConsumed: outcome.unitsConsumed,
    err: outcome.error,
    fee: record.fee,
    innerInstructions: encodeInner(outcome.inner, parsed ? keys : undefined),
    ...(parsed ? {} : {
      loadedAddresses: {
        readonly: loaded.slice(record.loadedWritable),
        writable: loaded.slice(0, record.loadedWritable),
      },
    }),
    logMessages: outcome.logs,
    postBalances: record.postBalances,
    postTokenBalances: record.postTokenBalances.map(encodeTokenBalance),
    preBalances: record.preBalances,
    preTokenBalances: record.preTokenBalances.map(encodeTokenBalance),
    ...(returnData ? { returnData } : {}),
    rewards: [],
    status: outcome.error === null ? { Ok: null } : { Err: outcome.error },
  };
}
