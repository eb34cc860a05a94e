/** RPC methods that run transactions. */
import { toBase58 } from "./base58.ts";
import { accountFormat, encodeAccount, encodeInner, encodeReturnData } from "./encode.ts";
import { describeTransactionError, invalidParams, RpcCode, RpcError } from "./errors.ts";
import { type LocalnetNode, type Methods, withContext } from "./node.ts";
import { addressOf, bytesOf, type Config, type Params } from "./params.ts";
import type { Outcome } from "./svm.ts";
import { decodeTransaction, MAX_TRANSACTION_BYTES, type WireTransaction } from "./wire.ts";

export function transactionMethods(node: LocalnetNode): Methods {
  const { bank, svm, clock } = node;

  return {
    sendTransaction: (params) => {
      const config = params.config(1);
      const transaction = decoded(params, config);
      const signature = toBase58(transaction.signatures[0]);
      let verify = true;
      if (!config.flag("skipPreflight")) {
        const { outcome } = bank.simulate(transaction, { verify, checkAge: true });
        refuse(outcome);
        verify = false;
      }
      const result = bank.submit(transaction, { verify });
      if (result.kind === "refused" && result.outcome.error === "SignatureFailure") {
        refuse(result.outcome);
      }
      // Anything else that was refused is dropped silently, as by a cluster.
      return signature;
    },

    simulateTransaction: (params) => {
      const config = params.config(1);
      const verify = config.flag("sigVerify");
      const replace = config.flag("replaceRecentBlockhash");
      if (verify && replace) {
        throw invalidParams("sigVerify and replaceRecentBlockhash exclude each other");
      }
      const transaction = decoded(params, config);
      const wanted = config.nested("accounts");
      const addresses = wanted?.list("addresses", 256).map((it) => addressOf(it, "each address"));
      const format = wanted && accountFormat(wanted, "base64");
      const { outcome, after } = bank.simulate(transaction, { verify, checkAge: !replace });
      if (outcome.error === "SignatureFailure") refuse(outcome);
      const changed = after();
      return withContext(node, {
        ...simulationData(outcome),
        accounts: addresses && format
          ? addresses.map((key) => {
            if (outcome.error) return null;
            const account = changed.get(toBase58(key)) ?? svm.account(key);
            return account && account.lamports > 0n
              ? encodeAccount(svm, key, account, format)
              : null;
          })
          : null,
        ...(config.flag("innerInstructions")
          ? { innerInstructions: encodeInner(outcome.inner) }
          : {}),
        ...(replace
          ? {
            replacementBlockhash: {
              blockhash: clock.current.blockhash,
              lastValidBlockHeight: clock.lastValidBlockHeight,
            },
          }
          : {}),
      });
    },

    requestAirdrop: (params) => {
      const to = params.address(0);
      const lamports = params.integer(1, "the lamports");
      const result = node.faucet.airdrop(to, BigInt(lamports));
      const outcome = result.kind === "executed" ? result.record.outcome : result.outcome;
      if (outcome.error) {
        throw new RpcError(
          RpcCode.InternalError,
          `The airdrop of ${lamports} lamports failed: ${describeTransactionError(outcome.error)}`,
        );
      }
      return result.kind === "executed" ? result.record.signature : null;
    },
  };
}

function decoded(params: Params, config: Config): WireTransaction {
  const encoding = config.text("encoding") ?? "base58";
  const text = params.text(0, "the transaction");
  return decodeTransaction(bytesOf(text, encoding, MAX_TRANSACTION_BYTES, "the transaction"));
}

function simulationData(outcome: Outcome) {
  return {
    err: outcome.error,
    logs: outcome.logs,
    returnData: encodeReturnData(outcome) ?? null,
    unitsConsumed: outcome.unitsConsumed,
  };
}

/** Throws the RPC error that belongs to a failed preflight. */
function refuse(outcome: Outcome): void {
  if (!outcome.error) return;
  if (outcome.error === "SignatureFailure") {
    throw new RpcError(
      RpcCode.SignatureInvalid,
      "Transaction signature verification failure",
    );
  }
  throw new RpcError(
    RpcCode.SimulationFailed,
    `Transaction simulation failed: ${describeTransactionError(outcome.error)}`,
    { accounts: null, innerInstructions: null, ...simulationData(outcome) },
  );
}
