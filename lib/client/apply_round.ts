import type { EventSink } from "../events/event.ts";
import { batchIdText } from "../protocol/assignment.ts";
import { chooseCommitment, quorum } from "../protocol/consensus.ts";
import type { CoordinatorState, Witness } from "../protocol/coordinator_state.ts";
import { trainingRates } from "../protocol/learning_rate.ts";
import type { ApplyResponse, DistroResult, Trainer } from "../trainer/trainer.ts";
import type { ResultExchange } from "./result_exchange.ts";
import type { Announcement, RoundRecord } from "./round_record.ts";

/**
 * Applies the results of the round two before the current one, as its witnesses decided:
 * docs/protocol/client-lifecycle.md section 7.2, step 1.
 *
 * @param state the chain's state at the entry of the current round
 * @param witnesses stored witnesses of the chain's previous round
 * @throws PsycheError `RESULT_MISSING` when an accepted result cannot be had before `signal` aborts
 */
export async function applyRound(options: {
  state: CoordinatorState;
  record: RoundRecord;
  witnesses: Witness[];
  exchange: ResultExchange;
  trainer: Trainer;
  emit: EventSink;
  signal: AbortSignal;
}): Promise<{ results: number; response: ApplyResponse }> {
  const { state, record, exchange, trainer, emit, signal } = options;
  const accepted = acceptedAnnouncements(options);
  const results: DistroResult[] = [];
  for (const announcement of accepted) {
    const result = await exchange.obtain(record, announcement, signal);
    if (!stillWarmingUp(state, announcement)) results.push(result);
  }
  const step = state.progress.step;
  const response = await trainer.apply({ step, lr: trainingRates(state, step).lr, results });
  emit({
    type: "applied",
    epoch: record.epoch,
    round: record.height,
    step: record.step,
    results: results.length,
    milliseconds: response.milliseconds,
    weights_sha256: response.weightsSha256,
  });
  return { results: results.length, response };
}

/** One announcement for each batch that the witnesses accepted, by ascending batch. */
function acceptedAnnouncements(options: {
  state: CoordinatorState;
  record: RoundRecord;
  witnesses: Witness[];
  emit: EventSink;
}): Announcement[] {
  const { state, record, witnesses, emit } = options;
  if (record.assignments.size === 0 || witnesses.length === 0) return [];
  const required = quorum(witnesses.length, state.config.witnessNodes);
  const accepted: Announcement[] = [];
  const assignments = [...record.assignments.values()]
    .sort((a, b) => (a.batchId.start < b.batchId.start ? -1 : 1));
  for (const { batchId, client } of assignments) {
    // The order decides ties, so it must not depend on who heard what first.
    const announced = [...(record.announcements.get(batchIdText(batchId)) ?? [])]
      .sort((a, b) => (a.dataHash.toHex() < b.dataHash.toHex() ? -1 : 1));
    const winner = chooseCommitment(witnesses, announced.map((item) => item.dataHash), required);
    if (winner === null) {
      emit({
        type: "untrained_batch",
        step: record.step,
        batch: batchIdText(batchId),
        expected: record.clients[client].signer.toHex().slice(0, 8),
      });
    } else accepted.push(announced[winner]);
  }
  return accepted;
}

/** While weights come from peers, results of optimisers that are still warming up do not count. */
function stillWarmingUp(state: CoordinatorState, announcement: Announcement): boolean {
  const kind = state.model.checkpoint.kind;
  return (kind === "P2P" || kind === "P2PGcs") &&
    announcement.trainerNonce < state.model.coldStartWarmupSteps;
}
