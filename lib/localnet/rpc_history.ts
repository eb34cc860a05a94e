/** RPC methods about the past: statuses, transactions, signatures by address, blocks. */
import { fromBase58 } from "./base58.ts";
import { encodeTransaction, type TransactionFormat, transactionFormat } from "./encode.ts";
import { invalidParams, RpcCode, RpcError } from "./errors.ts";
import { toBase58 } from "./base58.ts";
import type { Block } from "./ledger.ts";
import { type LocalnetNode, type Methods, withContext } from "./node.ts";
import { Config, type JsonObject, type Params } from "./params.ts";

const STATUS_LIMIT = 256;
const SIGNATURE_LIMIT = 1000;
const BLOCK_RANGE_LIMIT = 500_000;

export function historyMethods(node: LocalnetNode): Methods {
  const { ledger, clock } = node;

  const blockAt = (slot: number): Block => {
    const block = ledger.block(slot);
    if (block && slot <= clock.current.slot) return block;
    throw slot > clock.current.slot
      ? new RpcError(RpcCode.BlockNotAvailable, `Block not available for slot ${slot}`)
      : new RpcError(RpcCode.SlotSkipped, `Slot ${slot} was skipped, or missing in storage`);
  };

  const slotsFrom = (first: number, last: number, limit: number): number[] => {
    const slots: number[] = [];
    const start = Math.max(first, ledger.oldestSlot);
    for (let slot = start; slot <= last && slots.length < limit; slot++) slots.push(slot);
    return slots;
  };

  return {
    getSignatureStatuses: (params) => {
      const signatures = params.list(0, "the signatures", STATUS_LIMIT).map(signatureOf);
      return withContext(
        node,
        signatures.map((signature) => {
          const status = ledger.status(signature);
          return status
            ? {
              confirmationStatus: "finalized",
              confirmations: null,
              err: status.error,
              slot: status.slot,
              status: status.error === null ? { Ok: null } : { Err: status.error },
            }
            : null;
        }),
      );
    },

    getTransaction: (params) => {
      const signature = signatureOf(params.at(0));
      const format = transactionFormat(configOrEncoding(params, 1));
      const record = ledger.record(signature);
      if (!record) return null;
      return {
        blockTime: record.blockTime,
        slot: record.slot,
        ...encodeTransaction(record, format),
      };
    },

    getSignaturesForAddress: (params) => {
      const address = toBase58(params.address(0));
      const config = params.config(1);
      const limit = config.integer("limit") ?? SIGNATURE_LIMIT;
      if (limit < 1 || limit > SIGNATURE_LIMIT) {
        throw invalidParams(`limit must be 1 to ${SIGNATURE_LIMIT}`);
      }
      const before = config.text("before");
      const until = config.text("until");
      const all = ledger.signaturesOf(address);
      const found = [];
      const start = before === undefined ? all.length : Math.max(0, all.lastIndexOf(before));
      for (let i = start - 1; i >= 0 && found.length < limit; i--) {
        if (all[i] === until) break;
        const record = ledger.record(all[i])!;
        found.push({
          blockTime: record.blockTime,
          confirmationStatus: "finalized",
          err: record.outcome.error,
          memo: null,
          signature: record.signature,
          slot: record.slot,
        });
      }
      return found;
    },

    getBlockTime: (params) => {
      const slot = params.integer(0, "the slot");
      const { time } = blockAt(slot);
      // A slot spans several seconds of a fast clock: a past one has its last, this one has now.
      return slot === clock.current.slot ? clock.unixTimestamp() : time;
    },

    getBlock: (params) => {
      const block = blockAt(params.integer(0, "the slot"));
      const config = configOrEncoding(params, 1);
      const details = config.choice(
        "transactionDetails",
        ["full", "accounts", "signatures", "none"],
        "full",
      );
      const format = transactionFormat(config);
      return {
        blockHeight: block.blockHeight,
        blockTime: block.time,
        blockhash: block.blockhash,
        parentSlot: block.parent,
        previousBlockhash: block.previousBlockhash,
        ...blockBody(node, block, details, format),
        ...(config.has("rewards") && !config.flag("rewards") ? {} : { rewards: [] }),
      };
    },

    getBlocks: (params) => {
      const first = params.integer(0, "the first slot");
      const given = typeof params.at(1) === "object" ? undefined : params.optionalInteger(1, "end");
      const last = Math.min(given ?? clock.current.slot, clock.current.slot);
      if (last - first > BLOCK_RANGE_LIMIT) {
        throw invalidParams(`the range may have at most ${BLOCK_RANGE_LIMIT} slots`);
      }
      return slotsFrom(first, last, BLOCK_RANGE_LIMIT);
    },

    getBlocksWithLimit: (params) => {
      const limit = params.integer(1, "the limit");
      if (limit > BLOCK_RANGE_LIMIT) throw invalidParams(`limit is at most ${BLOCK_RANGE_LIMIT}`);
      return slotsFrom(params.integer(0, "the first slot"), clock.current.slot, limit);
    },

    getBlockCommitment: (params) => {
      params.integer(0, "the slot");
      return { commitment: null, totalStake: 1_000_000_000 };
    },
  };
}

function blockBody(node: LocalnetNode, block: Block, details: string, format: TransactionFormat) {
  if (details === "none") return {};
  if (details === "signatures") return { signatures: block.signatures };
  if (details === "accounts") throw invalidParams("transactionDetails accounts is not supported");
  const records = block.signatures.map((it) => node.ledger.record(it)).filter((it) => !!it);
  return { transactions: records.map((record) => encodeTransaction(record, format)) };
}

function signatureOf(value: unknown): string {
  if (typeof value !== "string" || !fromBase58(value, 64)) {
    throw invalidParams("a signature is 64 bytes in base58");
  }
  return value;
}

/** Old clients pass the encoding alone in the place of the configuration. */
function configOrEncoding(params: Params, index: number): Config {
  const value = params.at(index);
  return typeof value === "string"
    ? new Config({ encoding: value } as JsonObject)
    : params.config(index);
}
