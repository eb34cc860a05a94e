/** What a sent, or merely simulated, transaction looks like to a person. */
import { formatSol } from "../operator/lamports.ts";
import type { Outcome } from "../operator/submit.ts";

export function outcomeLines(outcome: Outcome): string[] {
  const fee = `fee ${formatSol(outcome.feeLamports)}, ${outcome.unitsConsumed} compute units`;
  if (outcome.dryRun) {
    return [`dry run, nothing was sent: ${fee}`, ...outcome.effects.map((text) => `  ${text}`)];
  }
  const lines = [`signature ${outcome.signature}`, fee];
  if (outcome.explorer !== null) lines.push(outcome.explorer);
  return lines;
}
