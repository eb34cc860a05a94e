/** RPC methods about the cluster itself: time, identity, epochs, fees, and the constants of a cluster of one. */
import { toBase58 } from "./base58.ts";
import { BLOCKHASH_LIFE, SLOTS_PER_EPOCH } from "./clock.ts";
import { invalidParams } from "./errors.ts";
import { type LocalnetNode, type Methods, SOLANA_VERSION, withContext } from "./node.ts";
import { bytesOf } from "./params.ts";
import { decodeMessage, MAX_TRANSACTION_BYTES } from "./wire.ts";

const LAMPORTS_PER_SIGNATURE = 5000;
/** Lamports that exist: what a cluster would start with. */
const TOTAL_SUPPLY = 500_000_000_000_000_000n;

export function clusterMethods(node: LocalnetNode): Methods {
  const { clock, svm, identity } = node;
  const slot = (): number => clock.current.slot;

  return {
    getHealth: () => "ok",
    getVersion: () => ({ "solana-core": SOLANA_VERSION, "feature-set": 0 }),
    getGenesisHash: () => clock.genesisHash,
    getIdentity: () => ({ identity }),
    getSlot: slot,
    getBlockHeight: () => clock.current.blockHeight,
    getTransactionCount: () => node.ledger.transactionCount,
    getSlotLeader: () => identity,
    getSlotLeaders: (params) => {
      params.integer(0, "the first slot");
      const count = params.integer(1, "the number of slots");
      if (count < 1 || count > 5000) throw invalidParams("the number of slots must be 1 to 5000");
      return Array(count).fill(identity);
    },
    getLeaderSchedule: () => ({ [identity]: Array.from({ length: 432 }, (_, i) => i) }),
    getLatestBlockhash: () =>
      withContext(node, {
        blockhash: clock.current.blockhash,
        lastValidBlockHeight: clock.lastValidBlockHeight,
      }),
    isBlockhashValid: (params) =>
      withContext(node, clock.isRecent(params.text(0, "the blockhash"))),
    getEpochInfo: () => ({
      absoluteSlot: slot(),
      blockHeight: clock.current.blockHeight,
      epoch: clock.epoch,
      slotIndex: slot() % SLOTS_PER_EPOCH,
      slotsInEpoch: SLOTS_PER_EPOCH,
      transactionCount: node.ledger.transactionCount,
    }),
    getEpochSchedule: () => ({
      firstNormalEpoch: 0,
      firstNormalSlot: 0,
      leaderScheduleSlotOffset: SLOTS_PER_EPOCH,
      slotsPerEpoch: SLOTS_PER_EPOCH,
      warmup: false,
    }),
    getFeeForMessage: (params) => {
      const bytes = bytesOf(
        params.text(0, "the message"),
        "base64",
        MAX_TRANSACTION_BYTES,
        "the message",
      );
      const message = decodeMessage(bytes);
      // Like a validator: null when the message could not be sent now.
      if (!clock.isRecent(toBase58(message.blockhash))) return withContext(node, null);
      return withContext(node, LAMPORTS_PER_SIGNATURE * message.requiredSignatures);
    },
    getMinimumBalanceForRentExemption: (params) =>
      svm.rentExemption(params.integer(0, "the data length")),
    getRecentPrioritizationFees: () => [{ slot: slot(), prioritizationFee: 0 }],
    getRecentPerformanceSamples: () => [{
      slot: slot(),
      numSlots: slot(),
      numTransactions: node.ledger.transactionCount,
      numNonVoteTransactions: node.ledger.transactionCount,
      samplePeriodSecs: Math.max(1, Math.round(slot() * node.slotMs / 1000)),
    }],
    getClusterNodes: () => [{
      pubkey: identity,
      gossip: null,
      tpu: null,
      rpc: null,
      version: SOLANA_VERSION,
      featureSet: 0,
      shredVersion: 0,
    }],
    getVoteAccounts: () => ({
      current: [{
        votePubkey: identity,
        nodePubkey: identity,
        activatedStake: 1_000_000_000,
        commission: 0,
        epochVoteAccount: true,
        epochCredits: [],
        lastVote: slot(),
        rootSlot: slot(),
      }],
      delinquent: [],
    }),
    getSupply: () => {
      const circulating = TOTAL_SUPPLY - svm.balance(node.faucet.key);
      const nonCirculating = TOTAL_SUPPLY - circulating;
      return withContext(node, {
        total: TOTAL_SUPPLY,
        circulating,
        nonCirculating,
        nonCirculatingAccounts: [toBase58(node.faucet.key)],
      });
    },
    getStakeMinimumDelegation: () => withContext(node, 1_000_000_000),
    getInflationGovernor: () => ({
      initial: 0,
      terminal: 0,
      taper: 0,
      foundation: 0,
      foundationTerm: 0,
    }),
    getInflationRate: () => ({ total: 0, validator: 0, foundation: 0, epoch: clock.epoch }),
    getInflationReward: (params) => params.list(0, "the addresses", 100).map(() => null),
    getBlockProduction: () =>
      withContext(node, {
        byIdentity: { [identity]: [slot(), slot()] },
        range: { firstSlot: 0, lastSlot: slot() },
      }),
    getHighestSnapshotSlot: () => ({ full: 0, incremental: null }),
    getMaxRetransmitSlot: slot,
    getMaxShredInsertSlot: slot,
    minimumLedgerSlot: () => node.ledger.oldestSlot,
    getFirstAvailableBlock: () => node.ledger.oldestSlot,
    /** Not of Solana: the chain's clock, for clients that follow it exactly. */
    localnet_getClock: () => ({
      unixTimestamp: clock.unixTimestamp(),
      unixTimestampMillis: Math.floor(clock.unixMillis()),
      clockRate: clock.rate,
      slot: slot(),
      blockhashLife: BLOCKHASH_LIFE,
    }),
    /** Not of Solana: moves the chain's time forward by whole seconds, at once. */
    localnet_skipTime: (params) => {
      const seconds = params.integer(0, "the seconds");
      if (seconds > 366 * 86_400) throw invalidParams("the seconds must be at most a year");
      clock.skip(seconds);
      return clock.unixTimestamp();
    },
    /** Not of Solana: ends the current slot now. */
    localnet_advanceSlot: () => {
      node.bank.advanceSlot(false);
      return slot();
    },
  };
}
