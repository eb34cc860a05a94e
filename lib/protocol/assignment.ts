import { type BatchId, Committee, type CoordinatorState } from "./coordinator_state.ts";
import { batchSizeAt } from "./batch_size.ts";
import { selectRoundCommittee } from "./committee.ts";
import { shuffleWithLcg } from "./lcg.ts";
import { currentRound } from "./run_state.ts";

/** One client's share of a round. */
export interface BatchAssignment {
  /** Index in the epoch client list. */
  clientIndex: number;
  /** Closed interval of sequence indices. */
  batchId: BatchId;
}

/**
 * `sequences` indices from `dataIndex` on, split over `trainers`: the first ones get one more when it
 * does not divide, empty shares are left out; docs/protocol/deterministic-selection.md section 5.
 */
export function splitBatch(dataIndex: bigint, sequences: number, trainers: number): BatchId[] {
  const batchIds: BatchId[] = [];
  if (trainers === 0) return batchIds;
  const share = Math.floor(sequences / trainers);
  const remainder = sequences % trainers;
  let start = dataIndex;
  for (let k = 0; k < trainers; k++) {
    const count = share + (k < remainder ? 1 : 0);
    if (count === 0) break;
    const next = start + BigInt(count);
    batchIds.push({ start, end: next - 1n });
    start = next;
  }
  return batchIds;
}

/**
 * Who trains what in the current round, by ascending interval; empty in the closing rounds of an
 * epoch (`last_step` set). docs/protocol/deterministic-selection.md section 5.
 *
 * @throws PsycheError `COMMITTEE_INCONSISTENT`.
 */
export function assignBatches(state: CoordinatorState): BatchAssignment[] {
  const { clients, lastStep } = state.epochState;
  if (lastStep !== 0) return [];
  const round = currentRound(state);
  const selection = selectRoundCommittee(state, round);
  const trainers: number[] = [];
  for (let i = 0; i < clients.length; i++) {
    if (selection.committee(i) === Committee.Trainer) trainers.push(i);
  }
  shuffleWithLcg(trainers, round.randomSeed);
  const sequences = batchSizeAt(state.config, round.dataIndex, state.model.maxSeqLen);
  return splitBatch(round.dataIndex, sequences, trainers.length)
    .map((batchId, k) => ({ clientIndex: trainers[k], batchId }));
}

/** All batch ids of the current round in ascending order, without their owners. */
export function roundBatchIds(state: CoordinatorState): BatchId[] {
  return assignBatches(state).map((assignment) => assignment.batchId);
}

/** Text of a batch id: `B7`, or `B[3, 5]`. */
export function batchIdText({ start, end }: BatchId): string {
  return start === end ? `B${start}` : `B[${start}, ${end}]`;
}
