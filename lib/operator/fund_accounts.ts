/** Brings many accounts up to a balance, out of one wallet; docs/protocol/commands.md section 3.1. */
import type { PublicKey } from "@solana/web3.js";
import type { SignedBytes } from "../chain/confirm.ts";
import { simulateInstructions } from "../chain/send.ts";
import { type Settlement, settleTransactions } from "../chain/settle_transactions.ts";
import { sleep } from "../chain/sleep.ts";
import { PsycheError } from "../error.ts";
import { airdropUpTo } from "./airdrop.ts";
import { chunks } from "./chunks.ts";
import { explorerLink } from "./cluster_key.ts";
import type { OperatorContext } from "./context.ts";
import {
  fundingJournalPath,
  readFundingJournal,
  removeFundingJournal,
  withFundingLock,
  writeFundingJournal,
} from "./funding_journal.ts";
import { type Fleet, type FleetKey, saveFleet } from "./funding_keys.ts";
import {
  batchTransfers,
  compileTransfers,
  signTransfers,
  type Transfer,
  transferInstructions,
} from "./funding_transfers.ts";
import { formatSol } from "./lamports.ts";
import { checkBalance } from "./preflight.ts";
import { throwProblems } from "./problems.ts";

export interface FundOptions {
  recipients: FleetKey[];
  /** Present when `recipients` are keys of this machine, of which some may have to be written. */
  fleet?: Fleet;
  /** Lamports that each account shall hold. */
  targetLamports: number;
  /** Folder of the journal; default `.psyche/funding`. */
  journalDirectory?: string;
  /** Called with the whole plan before a key is written or a lamport moves; throws to refuse. */
  confirm?: (plan: FundingPlan) => Promise<void>;
  onProgress?: (done: number, total: number) => void;
}

export interface FundingPlan {
  accounts: number;
  newKeys: number;
  /** Accounts at or above the target already. */
  alreadyFunded: number;
  transferLamports: number;
  feeLamports: number;
  transactions: number;
  /** Of the paying wallet. */
  balanceLamports: number;
}

export interface FundingResult extends FundingPlan {
  dryRun: boolean;
  /** Compute units of the first transaction; only of a dry run. */
  unitsConsumed: number | null;
  /** Transactions of an earlier, interrupted run whose fate was found out first. */
  settledBefore: number;
  funded: { address: string; keyFile: string | null; lamports: number }[];
  signatures: string[];
  explorer: string[];
}

/** Transactions that are signed with one blockhash and under way at the same time. */
const WAVE = 64;
/** How often transfers whose blockhash expired are signed in one run. */
const MAX_ATTEMPTS = 3;
const ACCOUNTS_PER_REQUEST = 100;
/** JSON-RPC code of a node that is behind the slot that was asked for. */
const BEHIND_SLOT = -32016;

/**
 * Funds only what is below the target. Transfers are written down before they are sent, and a run
 * that finds such notes first waits for the fate of each, so nobody is paid twice even after a kill.
 *
 * @throws PsycheError AMOUNT_TOO_SMALL, BALANCE_TOO_LOW, TRANSFER_FAILED, TRANSFER_EXPIRED,
 * FUNDING_UNDER_WAY, FUNDING_JOURNAL_INVALID, TRANSACTION_UNCERTAIN
 */
export async function fundAccounts(
  context: OperatorContext,
  options: FundOptions,
): Promise<FundingResult> {
  const directory = options.journalDirectory ?? ".psyche/funding";
  const sender = context.payer.publicKey.toBase58();
  const journal = fundingJournalPath(directory, context.genesisHash, sender);
  if (context.dryRun) {
    const { plan, transfers } = await makePlan(context, options, 0);
    return { ...emptyResult(context, plan), unitsConsumed: await tryOut(context, transfers) };
  }
  return await withFundingLock(journal, () => fund(context, options, journal));
}

async function fund(
  context: OperatorContext,
  options: FundOptions,
  journal: string,
): Promise<FundingResult> {
  const before = await settleOpen(context, journal);
  const { transfers, plan } = await makePlan(context, options, before.slot);
  const result = { ...emptyResult(context, plan), settledBefore: before.count };
  if (transfers.length === 0 && plan.newKeys === 0) return result;
  await options.confirm?.(plan);
  if (options.fleet !== undefined) await saveFleet(options.fleet);

  let done = plan.alreadyFunded;
  const report = (more: number) => options.onProgress?.(done += more, plan.accounts);
  report(0);
  for (const wave of chunks(batchTransfers(context, transfers), WAVE)) {
    const signatures = await sendWave(context, wave, journal, report);
    result.signatures.push(...signatures);
  }
  result.funded = transfers.map(({ to, keyFile, lamports }) => ({
    address: to.toBase58(),
    keyFile,
    lamports,
  }));
  result.explorer = result.signatures.map((it) => explorerLink(context.cluster, it))
    .filter((link) => link !== null);
  return result;
}

/** What an interrupted run left: its very transactions are brought to their end. */
async function settleOpen(context: OperatorContext, journal: string) {
  const open = await readFundingJournal(journal);
  if (open.length === 0) return { count: 0, slot: 0 };
  const settlements = await settleTransactions(context.connection, open, context);
  await removeFundingJournal(journal);
  const slots = settlements.map((it) => it.kind === "landed" ? it.slot : 0);
  return { count: open.length, slot: Math.max(...slots) };
}

/** Sends the batches; those that the cluster did not take in time are signed anew. */
async function sendWave(
  context: OperatorContext,
  wave: Transfer[][],
  journal: string,
  onFunded: (accounts: number) => void,
): Promise<string[]> {
  const landed: string[] = [];
  let batches = wave;
  for (let attempt = 1; batches.length > 0; attempt++) {
    const { signed, settlements } = await sendOnce(context, batches, journal, onFunded);
    const problems = settlements.flatMap((settlement, i) => failureOf(signed[i], settlement));
    const isExpired = (i: number) => settlements[i].kind === "expired";
    if (problems.some(({ code }) => code === "TRANSFER_FAILED") || attempt === MAX_ATTEMPTS) {
      throwProblems(problems.slice(0, 1));
    }
    landed.push(...signed.filter((_, i) => !isExpired(i)).map(({ signature }) => signature));
    batches = batches.filter((_, i) => isExpired(i));
  }
  return landed;
}

async function sendOnce(
  context: OperatorContext,
  wave: Transfer[][],
  journal: string,
  onFunded: (accounts: number) => void,
): Promise<{ signed: SignedBytes[]; settlements: Settlement[] }> {
  const { connection, signal } = context;
  signal?.throwIfAborted();
  const signed = signTransfers(context, wave, await connection.getLatestBlockhash());
  await writeFundingJournal(journal, signed);
  const settlements = await settleTransactions(connection, signed, {
    signal,
    onSettled(transaction, settlement) {
      if (settlement.kind === "landed" && !settlement.err) {
        onFunded(wave[signed.indexOf(transaction)].length);
      }
    },
  });
  await removeFundingJournal(journal);
  return { signed, settlements };
}

function failureOf({ signature }: SignedBytes, settlement: Settlement): PsycheError[] {
  if (settlement.kind === "expired") {
    return [
      new PsycheError(
        "TRANSFER_EXPIRED",
        `The cluster did not take the transfers ${signature} in time; run the command again (it ` +
          `goes on where it stopped), perhaps with a --priority-fee.`,
      ),
    ];
  }
  if (!settlement.err) return [];
  return [
    new PsycheError(
      "TRANSFER_FAILED",
      `The transfers ${signature} failed (${JSON.stringify(settlement.err)}) and moved nothing; ` +
        `check the wallet's balance and run the command again.`,
    ),
  ];
}

async function makePlan(
  context: OperatorContext,
  options: FundOptions,
  minContextSlot: number,
): Promise<{ transfers: Transfer[]; plan: FundingPlan }> {
  const { connection, payer, cluster, signal } = context;
  const { recipients, targetLamports } = options;
  const rentMinimum = await connection.getMinimumBalanceForRentExemption(0);
  if (targetLamports < rentMinimum) {
    throw new PsycheError(
      "AMOUNT_TOO_SMALL",
      `An account must hold at least ${formatSol(rentMinimum)} to exist, and --amount is ` +
        `${formatSol(targetLamports)}; give more.`,
    );
  }
  const balances = await readBalances(context, recipients, minContextSlot);
  const transfers = recipients.flatMap(({ address, keyFile }, i): Transfer[] => {
    const lamports = targetLamports - balances[i];
    return lamports > 0 ? [{ to: address, keyFile, lamports }] : [];
  });
  const transferLamports = transfers.reduce((sum, { lamports }) => sum + lamports, 0);
  const batches = batchTransfers(context, transfers);
  const feeLamports = await totalFee(context, batches);
  const needed = transferLamports + feeLamports + rentMinimum;
  if (transfers.length > 0) {
    // On a localnet SOL is free, so nobody should have to ask for it.
    if (cluster.startsWith("localnet") && !context.dryRun) {
      await airdropUpTo(connection, payer.publicKey, needed, signal);
    }
    throwProblems(await checkBalance(context, needed, `funding ${transfers.length} accounts`));
  }
  return {
    transfers,
    plan: {
      accounts: recipients.length,
      newKeys: recipients.filter(({ isNew }) => isNew).length,
      alreadyFunded: recipients.length - transfers.length,
      transferLamports,
      feeLamports,
      transactions: batches.length,
      balanceLamports: await connection.getBalance(payer.publicKey),
    },
  };
}

/** Lamports of each account, from a node that has seen `minContextSlot`. */
async function readBalances(
  context: OperatorContext,
  recipients: FleetKey[],
  minContextSlot: number,
): Promise<number[]> {
  const { connection, signal } = context;
  const read = async (keys: PublicKey[]) => {
    const how = { minContextSlot, dataSlice: { offset: 0, length: 0 } };
    for (let attempt = 0;; attempt++) {
      try {
        const accounts = await connection.getMultipleAccountsInfo(keys, how);
        return accounts.map((account) => account?.lamports ?? 0);
      } catch (error) {
        const isBehind = error instanceof Error && "code" in error && error.code === BEHIND_SLOT;
        if (!isBehind || attempt === 20) throw error;
        await sleep(500, signal);
      }
    }
  };
  const addresses = recipients.map(({ address, isNew }) => isNew ? null : address);
  const known = addresses.filter((address) => address !== null);
  const found: number[] = [];
  for (const keys of chunks(known, ACCOUNTS_PER_REQUEST)) found.push(...await read(keys));
  let next = 0;
  return addresses.map((address) => address === null ? 0 : found[next++]);
}

async function totalFee(context: OperatorContext, batches: Transfer[][]): Promise<number> {
  if (batches.length === 0) return 0;
  const { blockhash } = await context.connection.getLatestBlockhash();
  const feeOf = async (batch: Transfer[]) => {
    const { message } = compileTransfers(context, batch, blockhash);
    return (await context.connection.getFeeForMessage(message)).value ?? 5000;
  };
  // All batches but the last have the same size, hence the same fee.
  const full = await feeOf(batches[0]);
  return full * (batches.length - 1) + await feeOf(batches.at(-1)!);
}

async function tryOut(context: OperatorContext, transfers: Transfer[]): Promise<number | null> {
  const [first] = batchTransfers(context, transfers);
  if (first === undefined) return null;
  const { connection, payer } = context;
  const { unitsConsumed } = await simulateInstructions({
    connection,
    payer,
    label: "funding accounts",
    instructions: transferInstructions(context, first),
  });
  return unitsConsumed;
}

function emptyResult(context: OperatorContext, plan: FundingPlan): FundingResult {
  return {
    ...plan,
    dryRun: context.dryRun,
    unitsConsumed: null,
    settledBefore: 0,
    funded: [],
    signatures: [],
    explorer: [],
  };
}
