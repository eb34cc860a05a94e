/** What funding a fleet will cost, and what became of it, for people. */
import { counted } from "./counted.ts";
import type { FundingPlan, FundingResult } from "../operator/fund_accounts.ts";
import { formatSol } from "../operator/lamports.ts";

/** All that a person has to know before saying yes. */
export function fundingQuestion(plan: FundingPlan, directory: string): string {
  const keys = plan.newKeys === 0 ? "" : `make ${counted(plan.newKeys, "key")} in ${directory}; `;
  return `${keys}${costOf(plan)}; the wallet holds ${formatSol(plan.balanceLamports)}`;
}

export function fundingLines(result: FundingResult): string[] {
  const { dryRun, settledBefore, unitsConsumed, funded, alreadyFunded, explorer } = result;
  const lines = settledBefore === 0
    ? []
    : [`${counted(settledBefore, "transaction")} of an interrupted run settled first`];
  if (dryRun) {
    const units = unitsConsumed === null ? "" : `, ${unitsConsumed} compute units in the first`;
    return [...lines, "dry run, nothing was sent", `${costOf(result)}${units}`];
  }
  return [
    ...lines,
    `${counted(funded.length, "account")} funded, ${alreadyFunded} had enough already`,
    ...(funded.length === 0 ? [] : [costOf(result)]),
    ...explorer,
  ];
}

function costOf(plan: FundingPlan): string {
  const { accounts, alreadyFunded, transferLamports, feeLamports, transactions } = plan;
  return `${accounts - alreadyFunded} of ${accounts} accounts get ${
    formatSol(transferLamports)
  }, ` +
    `fees ${formatSol(feeLamports)} in ${counted(transactions, "transaction")}, ` +
    `together ${formatSol(transferLamports + feeLamports)}`;
}
