/** What the clients of a run said about themselves. */
import { fetchWitnessReports } from "../chain/witness_reports.ts";
import type { OperatorContext } from "./context.ts";
import type { RunOnChain } from "./read_run.ts";

/**
 * Reports in the run's latest `transactions`, newest first. Nobody checks what they say.
 *
 * @param transactions at most 1000
 */
export async function describeWitnessReports(
  { connection, programIds }: Pick<OperatorContext, "connection" | "programIds">,
  { coordinatorAccount }: Pick<RunOnChain, "coordinatorAccount">,
  transactions: number,
): Promise<Record<string, unknown>[]> {
  const options = { programId: programIds.coordinator, transactions };
  const reports = await fetchWitnessReports(connection, coordinatorAccount, options);
  return reports.map(({ signature, slot, witness, metadata }) => ({
    signature,
    slot,
    witness: witness.toBase58(),
    step: metadata.step,
    tokens_per_sec: metadata.tokensPerSecond,
    bandwidth_per_sec: metadata.bandwidthPerSecond,
    loss: metadata.loss,
    efficiency: metadata.efficiency,
    evals: Object.fromEntries(metadata.evals.map(({ name, value }) => [name, value])),
    prompt_index: metadata.promptIndex,
    prompt_results: metadata.promptResults,
  }));
}
