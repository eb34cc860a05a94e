/** RPC methods that read accounts. */
import { toBase58 } from "./base58.ts";
import { accountFormat, dataBudget, encodeAccount } from "./encode.ts";
import { accountFilters } from "./filters.ts";
import { type LocalnetNode, type Methods, withContext } from "./node.ts";
import { addressOf } from "./params.ts";
import type { AccountState } from "./svm.ts";

/** Addresses that getMultipleAccounts takes. */
const MULTIPLE_LIMIT = 100;

export function accountMethods(node: LocalnetNode): Methods {
  const { svm } = node;
  /** The account as it is now: the Clock sysvar among them is brought up to the second. */
  const read = (key: Uint8Array): AccountState | undefined => {
    node.clock.refresh();
    return svm.account(key);
  };
  return {
    getBalance: (params) => withContext(node, svm.balance(params.address(0))),
    getAccountInfo: (params) => {
      const key = params.address(0);
      const format = accountFormat(params.config(1));
      const account = read(key);
      return withContext(node, account ? encodeAccount(svm, key, account, format) : null);
    },
    getMultipleAccounts: (params) => {
      const keys = params.list(0, "the addresses", MULTIPLE_LIMIT)
        .map((it) => addressOf(it, "each address"));
      const format = accountFormat(params.config(1), "base64");
      const spend = dataBudget();
      return withContext(
        node,
        keys.map((key) => {
          const account = read(key);
          if (!account) return null;
          spend(account);
          return encodeAccount(svm, key, account, format);
        }),
      );
    },
    getProgramAccounts: (params) => {
      const owner = params.address(0, "the program id");
      const config = params.config(1);
      const format = accountFormat(config);
      const matches = accountFilters(config);
      const spend = dataBudget();
      const found = svm.accountsOwnedBy(owner)
        .filter(({ account }) => matches(account.data))
        .map(({ key, account }) => {
          if (!format.slice) spend(account);
          return { pubkey: toBase58(key), account: encodeAccount(svm, key, account, format) };
        });
      return config.flag("withContext") ? withContext(node, found) : found;
    },
    getLargestAccounts: () =>
      withContext(node, [{
        address: toBase58(node.faucet.key),
        lamports: svm.balance(node.faucet.key),
      }]),
  };
}
