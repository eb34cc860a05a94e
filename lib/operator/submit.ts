/** Sends one transaction, or shows what it would do. */
import type { Keypair, TransactionInstruction } from "@solana/web3.js";
import { sendInstructions, simulateInstructions } from "../chain/send.ts";
import { explorerLink } from "./cluster_key.ts";
import type { OperatorContext } from "./context.ts";

export interface Transfer {
  /** What the transaction does, for messages. */
  label: string;
  instructions: TransactionInstruction[];
  signers?: Keypair[];
}

/** Lamports and compute units of one transaction; a dry run has no signature. */
export interface Outcome {
  dryRun: boolean;
  signature: string | null;
  explorer: string | null;
  feeLamports: number;
  unitsConsumed: number;
  /** Changes in words; only of a dry run. */
  effects: string[];
  logs: string[];
}

export async function submit(context: OperatorContext, transfer: Transfer): Promise<Outcome> {
  const request = {
    ...transfer,
    connection: context.connection,
    payer: context.payer,
    priorityFeeMicroLamports: context.priorityFeeMicroLamports,
    signal: context.signal,
  };
  if (context.dryRun) {
    const { changes, ...simulated } = await simulateInstructions(request);
    const effects = changes.map((change) => change.words);
    return { dryRun: true, signature: null, explorer: null, effects, ...simulated };
  }
  const sent = await sendInstructions(request);
  return {
    dryRun: false,
    signature: sent.signature,
    explorer: explorerLink(context.cluster, sent.signature),
    feeLamports: sent.feeLamports,
    unitsConsumed: sent.unitsConsumed,
    effects: [],
    logs: sent.logs,
  };
}
