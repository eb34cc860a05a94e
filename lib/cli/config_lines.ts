/** What a change of a run's configuration did, for people. */
import type { AppliedConfig } from "../operator/apply_config.ts";
import type { ConfigUpdateResult } from "../operator/update_config.ts";
import { outcomeLines } from "./outcome_lines.ts";

export function configLines(result: ConfigUpdateResult & Partial<AppliedConfig>): string[] {
  const { runId, changes, outcome, metadataOutcome, paused, resumed } = result;
  const lines = changes.map(({ field, before, after }) => `${field}: ${before} -> ${after}`);
  if (paused?.outcome?.dryRun) {
    return [...lines, "dry run, nothing was sent: the run would be paused, updated and resumed"];
  }
  if (outcome === null) return [`nothing to change: run "${runId}" has this configuration already`];
  return [
    ...lines,
    ...(metadataOutcome === null ? [] : outcomeLines(metadataOutcome)),
    ...outcomeLines(outcome),
    ...(resumed ? [`the run is "${resumed.after}"`] : []),
  ];
}
