/** The `jsonParsed` forms: accounts and instructions of the programs every wallet knows. */
import { toBase58 } from "./base58.ts";
import { tokenAmount } from "./token_amount.ts";
import {
  ASSOCIATED_TOKEN_PROGRAM,
  CLOCK_SYSVAR,
  MEMO_PROGRAM,
  MEMO_V1_PROGRAM,
  RENT_SYSVAR,
  SYSTEM_PROGRAM,
  TOKEN_2022_PROGRAM,
  TOKEN_PROGRAM,
  UPGRADEABLE_LOADER,
} from "./known_programs.ts";
import type { AccountState, InnerCall, Svm } from "./svm.ts";
import type { WireInstruction } from "./wire.ts";

interface Parsed {
  type: string;
  info: Record<string, unknown>;
}

/** The parsed `data` of an account, or undefined when its program or layout is not known here. */
export function parseAccount(svm: Svm, key: Uint8Array, account: AccountState) {
  const owner = toBase58(account.owner);
  const [program, parsed] = owner === TOKEN_PROGRAM
    ? ["spl-token", parseToken(svm, account.data)]
    : owner === TOKEN_2022_PROGRAM
    ? ["spl-token-2022", parseToken(svm, account.data)]
    : owner === UPGRADEABLE_LOADER
    ? ["bpf-upgradeable-loader", parseLoader(account.data)]
    : owner === SYSTEM_PROGRAM
    ? ["nonce", parseNonce(account.data)]
    : ["sysvar", parseSysvar(toBase58(key), account.data)];
  return parsed && { program, parsed, space: account.data.length };
}

function view(data: Uint8Array): DataView {
  return new DataView(data.buffer, data.byteOffset, data.byteLength);
}

function key(data: Uint8Array, at: number): string {
  return toBase58(data.subarray(at, at + 32));
}

/** Base58 of an optional key with a 4-byte tag, null when absent. */
function optionalKey(data: Uint8Array, at: number): string | null {
  return data[at] === 1 ? key(data, at + 4) : null;
}

const ACCOUNT_STATES = ["uninitialized", "initialized", "frozen"];

function parseToken(svm: Svm, data: Uint8Array): Parsed | undefined {
  // Extended accounts of Token-2022 name their kind after the base layout of 165 bytes.
  const kind = data.length > 165 ? data[165] : data.length === 82 ? 1 : data.length === 165 ? 2 : 0;
  if (kind === 1 && data[45] === 1) {
    return {
      type: "mint",
      info: {
        decimals: data[44],
        freezeAuthority: optionalKey(data, 46),
        isInitialized: true,
        mintAuthority: optionalKey(data, 0),
        supply: view(data).getBigUint64(36, true).toString(),
      },
    };
  }
  if (kind !== 2 || data[108] === 0) return undefined;
  const decimals = svm.account(data.slice(0, 32))?.data[44];
  if (decimals === undefined) return undefined;
  const bytes = view(data);
  const delegate = optionalKey(data, 72);
  const closeAuthority = optionalKey(data, 129);
  const isNative = data[109] === 1;
  return {
    type: "account",
    info: {
      isNative,
      mint: key(data, 0),
      owner: key(data, 32),
      state: ACCOUNT_STATES[data[108]],
      tokenAmount: tokenAmount(bytes.getBigUint64(64, true), decimals),
      ...(delegate
        ? { delegate, delegatedAmount: tokenAmount(bytes.getBigUint64(121, true), decimals) }
        : {}),
      ...(closeAuthority ? { closeAuthority } : {}),
      ...(isNative
        ? { rentExemptReserve: tokenAmount(bytes.getBigUint64(113, true), decimals) }
        : {}),
    },
  };
}

function parseLoader(data: Uint8Array): Parsed | undefined {
  if (data.length < 4) return undefined;
  switch (data[0]) {
    case 0:
      return { type: "uninitialized", info: {} };
    case 1:
      if (data.length < 37) return undefined;
      return {
        type: "buffer",
        info: {
          authority: data[4] === 1 ? key(data, 5) : null,
          data: [data.subarray(37).toBase64(), "base64"],
        },
      };
    case 2:
      return data.length < 36
        ? undefined
        : { type: "program", info: { programData: key(data, 4) } };
    case 3:
      if (data.length < 45) return undefined;
      return {
        type: "programData",
        info: {
          authority: data[12] === 1 ? key(data, 13) : null,
          data: [data.subarray(45).toBase64(), "base64"],
          slot: view(data).getBigUint64(4, true),
        },
      };
  }
  return undefined;
}

function parseNonce(data: Uint8Array): Parsed | undefined {
  if (data.length !== 80) return undefined;
  const bytes = view(data);
  if (bytes.getUint32(4, true) === 0) return { type: "uninitialized", info: {} };
  return {
    type: "initialized",
    info: {
      authority: key(data, 8),
      blockhash: key(data, 40),
      feeCalculator: { lamportsPerSignature: bytes.getBigUint64(72, true).toString() },
    },
  };
}

function parseSysvar(address: string, data: Uint8Array): Parsed | undefined {
  const bytes = view(data);
  if (address === CLOCK_SYSVAR && data.length >= 40) {
    return {
      type: "clock",
      info: {
        slot: bytes.getBigUint64(0, true),
        epochStartTimestamp: bytes.getBigInt64(8, true),
        epoch: bytes.getBigUint64(16, true),
        leaderScheduleEpoch: bytes.getBigUint64(24, true),
        unixTimestamp: bytes.getBigInt64(32, true),
      },
    };
  }
  if (address === RENT_SYSVAR && data.length >= 17) {
    return {
      type: "rent",
      info: {
        lamportsPerByteYear: bytes.getBigUint64(0, true).toString(),
        exemptionThreshold: bytes.getFloat64(8, true),
        burnPercent: data[16],
      },
    };
  }
  return undefined;
}

/** One instruction of a `jsonParsed` transaction; what is not known here stays partially decoded. */
export function parseInstruction(
  call: WireInstruction | InnerCall,
  keys: string[],
  stackHeight: number,
) {
  const programId = keys[call.programIndex];
  const accounts = [...call.accounts].map((index) => keys[index]);
  const known = INSTRUCTION_PARSERS[programId];
  const parsed = known?.parse(call.data, accounts);
  return parsed !== undefined
    ? { program: known.program, programId, parsed, stackHeight }
    : { accounts, data: toBase58(call.data), programId, stackHeight };
}

interface InstructionParser {
  program: string;
  parse(data: Uint8Array, accounts: string[]): Parsed | string | undefined;
}

const memo: InstructionParser = {
  program: "spl-memo",
  parse: (data) => new TextDecoder().decode(data),
};

const INSTRUCTION_PARSERS: Record<string, InstructionParser> = {
  [SYSTEM_PROGRAM]: { program: "system", parse: parseSystem },
  [TOKEN_PROGRAM]: { program: "spl-token", parse: parseTokenCall },
  [TOKEN_2022_PROGRAM]: { program: "spl-token-2022", parse: parseTokenCall },
  [ASSOCIATED_TOKEN_PROGRAM]: { program: "spl-associated-token-account", parse: parseAssociated },
  [MEMO_PROGRAM]: memo,
  [MEMO_V1_PROGRAM]: memo,
};

function parseSystem(data: Uint8Array, accounts: string[]): Parsed | undefined {
  if (data.length < 4) return undefined;
  const bytes = view(data);
  switch (bytes.getUint32(0, true)) {
    case 0:
      if (data.length < 52 || accounts.length < 2) return undefined;
      return {
        type: "createAccount",
        info: {
          source: accounts[0],
          newAccount: accounts[1],
          lamports: bytes.getBigUint64(4, true),
          space: bytes.getBigUint64(12, true),
          owner: key(data, 20),
        },
      };
    case 1:
      if (data.length < 36 || accounts.length < 1) return undefined;
      return { type: "assign", info: { account: accounts[0], owner: key(data, 4) } };
    case 2:
      if (data.length < 12 || accounts.length < 2) return undefined;
      return {
        type: "transfer",
        info: {
          source: accounts[0],
          destination: accounts[1],
          lamports: bytes.getBigUint64(4, true),
        },
      };
    case 4:
      if (accounts.length < 3) return undefined;
      return {
        type: "advanceNonce",
        info: {
          nonceAccount: accounts[0],
          recentBlockhashesSysvar: accounts[1],
          nonceAuthority: accounts[2],
        },
      };
    case 8:
      if (data.length < 12 || accounts.length < 1) return undefined;
      return {
        type: "allocate",
        info: { account: accounts[0], space: bytes.getBigUint64(4, true) },
      };
  }
  return undefined;
}

function parseTokenCall(data: Uint8Array, accounts: string[]): Parsed | undefined {
  if (data.length === 0) return undefined;
  const bytes = view(data);
  const [first, second, third, fourth] = accounts;
  const amount = (): bigint => bytes.getBigUint64(1, true);
  switch (data[0]) {
    case 3:
      if (data.length < 9 || accounts.length < 3) return undefined;
      return {
        type: "transfer",
        info: { source: first, destination: second, authority: third, amount: `${amount()}` },
      };
    case 7:
      if (data.length < 9 || accounts.length < 3) return undefined;
      return {
        type: "mintTo",
        info: { mint: first, account: second, mintAuthority: third, amount: `${amount()}` },
      };
    case 8:
      if (data.length < 9 || accounts.length < 3) return undefined;
      return {
        type: "burn",
        info: { account: first, mint: second, authority: third, amount: `${amount()}` },
      };
    case 9:
      if (accounts.length < 3) return undefined;
      return {
        type: "closeAccount",
        info: { account: first, destination: second, owner: third },
      };
    case 12:
      if (data.length < 10 || accounts.length < 4) return undefined;
      return {
        type: "transferChecked",
        info: {
          source: first,
          mint: second,
          destination: third,
          authority: fourth,
          tokenAmount: tokenAmount(amount(), data[9]),
        },
      };
    case 18:
      if (accounts.length < 2 || data.length < 33) return undefined;
      return {
        type: "initializeAccount3",
        info: { account: first, mint: second, owner: key(data, 1) },
      };
  }
  return undefined;
}

function parseAssociated(data: Uint8Array, accounts: string[]): Parsed | undefined {
  if (accounts.length < 6 || (data[0] ?? 0) > 1) return undefined;
  const [source, account, wallet, mint, systemProgram, tokenProgram] = accounts;
  return {
    type: data[0] === 1 ? "createIdempotent" : "create",
    info: { source, account, wallet, mint, systemProgram, tokenProgram },
  };
}
