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
  const { state, record, witnesses, exchange, trainer, emit, signal } = options;
  const required = witnesses.length === 0
    ? Infinity
    : quorum(witnesses.length, state.config.witnessNodes);
  let { accepted, missing } = acceptedAnnouncements(options, required);
  if (missing.length > 0 && witnesses.length > 0) {
    // They reported under the round after the one that is applied.
    const members = exchange.previous?.clients ?? [];
    const asked = witnesses.flatMap(({ proof }) => members[Number(proof.index)]?.p2pIdentity ?? []);
    await exchange.reconcile(record, { witnesses: asked, required }, signal);
    ({ accepted, missing } = acceptedAnnouncements(options, required));
  }
  for (const batch of missing) emit({ type: "untrained_batch", step: record.step, ...batch });
  const results: DistroResult[] = [];
  signal.throwIfAborted();
  for (const announcement of accepted) {
    const result = await exchange.obtain(record, announcement, signal);
    if (!stillWarmingUp(state, announcement)) results.push(result);
  }
  const step = state.progress.step;
  const response = await trainer.apply({ step, ...trainingRates(state, step), results });
  emit({
    type: "applied",
    epoch: record.epoch,
    round: record.height,
    step: record.step,
    results: results.length,
    milliseconds: response.milliseconds,
    weights_fingerprint: response.weightsFingerprint,
  });
  return { results: results.length, response };
}

/** One announcement for each batch that the witnesses accepted, by ascending batch; and the rest. */
function acceptedAnnouncements(
  { record, witnesses }: { record: RoundRecord; witnesses: Witness[] },
  required: number,
): { accepted: Announcement[]; missing: { batch: string; expected: string }[] } {
  const accepted: Announcement[] = [];
  const missing: { batch: string; expected: string }[] = [];
  const assignments = [...record.assignments.values()]
    .sort((a, b) => (a.batchId.start < b.batchId.start ? -1 : 1));
  for (const { batchId, client } of assignments) {
    const batch = batchIdText(batchId);
    // The order decides ties, so it must not depend on who heard what first.
    const announced = [...(record.announcements.get(batch) ?? [])]
      .sort((a, b) => (a.dataHash.toHex() < b.dataHash.toHex() ? -1 : 1));
    const winner = chooseCommitment(witnesses, announced.map((item) => item.dataHash), required);
    if (winner !== null) accepted.push(announced[winner]);
    else {
      missing.push({ batch, expected: record.clients[client].signer.toHex().slice(0, 8) });
    }
  }
  return { accepted, missing };
}

/** While weights come from peers, results of optimisers that are still warming up do not count. */
function stillWarmingUp(state: CoordinatorState, announcement: Announcement): boolean {
  const kind = state.model.checkpoint.kind;
  return (kind === "P2P" || kind === "P2PGcs") &&
    announcement.trainerNonce < state.model.coldStartWarmupSteps;
}
