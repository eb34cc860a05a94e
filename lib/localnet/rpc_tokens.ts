/** RPC methods about token accounts and mints of both token programs. */
import { knownKey, toBase58 } from "./base58.ts";
import { accountFormat, encodeAccount } from "./encode.ts";
import { invalidParams } from "./errors.ts";
import { TOKEN_2022_PROGRAM, TOKEN_PROGRAM } from "./known_programs.ts";
import { type LocalnetNode, type Methods, withContext } from "./node.ts";
import type { Params } from "./params.ts";
import type { AccountState } from "./svm.ts";
import { tokenAmount } from "./token_amount.ts";

const LARGEST_LIMIT = 20;

interface Holding {
  key: Uint8Array;
  account: AccountState;
  amount: bigint;
}

export function tokenMethods(node: LocalnetNode): Methods {
  const { svm } = node;
  const programs = [TOKEN_PROGRAM, TOKEN_2022_PROGRAM].map(knownKey);

  const isTokenProgram = (owner: Uint8Array): boolean => programs.some((it) => equal(it, owner));

  const mintDecimals = (mint: Uint8Array): number => {
    const account = svm.account(mint);
    if (!account || !isTokenProgram(account.owner) || account.data.length < 82) {
      throw invalidParams("could not find mint");
    }
    return account.data[44];
  };

  /** Token accounts of the given programs that pass `test`. */
  const holdings = (of: Uint8Array[], test: (data: Uint8Array) => boolean): Holding[] =>
    of.flatMap((program) => svm.accountsOwnedBy(program))
      .filter(({ account: { data } }) => isTokenAccount(data) && test(data))
      .map(({ key, account }) => ({ key, account, amount: amountOf(account.data) }));

  /** The part that the owner and delegate methods share: the filter by mint or by program. */
  const select = (params: Params, test: (data: Uint8Array) => boolean) => {
    const filter = params.config(1);
    const mint = filter.address("mint");
    const programId = filter.address("programId");
    if (!mint && !programId) throw invalidParams("the filter needs mint or programId");
    if (mint) mintDecimals(mint);
    if (programId && !isTokenProgram(programId)) throw invalidParams("unrecognized token program");
    const format = accountFormat(params.config(2));
    const found = holdings(
      programId ? [programId] : programs,
      (data) => test(data) && (!mint || equal(data.subarray(0, 32), mint)),
    );
    return withContext(
      node,
      found.map(({ key, account }) => ({
        pubkey: toBase58(key),
        account: encodeAccount(svm, key, account, format),
      })),
    );
  };

  return {
    getTokenAccountBalance: (params) => {
      const account = svm.account(params.address(0));
      if (!account || !isTokenProgram(account.owner) || !isTokenAccount(account.data)) {
        throw invalidParams("could not find account");
      }
      const decimals = mintDecimals(account.data.slice(0, 32));
      return withContext(node, tokenAmount(amountOf(account.data), decimals));
    },
    getTokenSupply: (params) => {
      const mint = params.address(0);
      const decimals = mintDecimals(mint);
      const { data } = svm.account(mint)!;
      const supply = new DataView(data.buffer, data.byteOffset).getBigUint64(36, true);
      return withContext(node, tokenAmount(supply, decimals));
    },
    getTokenAccountsByOwner: (params) => {
      const owner = params.address(0);
      return select(params, (data) => equal(data.subarray(32, 64), owner));
    },
    getTokenAccountsByDelegate: (params) => {
      const delegate = params.address(0);
      return select(params, (data) => data[72] === 1 && equal(data.subarray(76, 108), delegate));
    },
    getTokenLargestAccounts: (params) => {
      const mint = params.address(0);
      const decimals = mintDecimals(mint);
      const found = holdings(programs, (data) => equal(data.subarray(0, 32), mint))
        .sort((a, b) => a.amount === b.amount ? 0 : a.amount < b.amount ? 1 : -1)
        .slice(0, LARGEST_LIMIT);
      return withContext(
        node,
        found.map((it) => ({ address: toBase58(it.key), ...tokenAmount(it.amount, decimals) })),
      );
    },
  };
}

function isTokenAccount(data: Uint8Array): boolean {
  const sized = data.length === 165 || (data.length > 165 && data[165] === 2);
  return sized && data[108] !== 0;
}

function amountOf(data: Uint8Array): bigint {
  return new DataView(data.buffer, data.byteOffset).getBigUint64(64, true);
}

function equal(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, i) => byte === b[i]);
}
