import { assignBatches, batchIdText } from "../protocol/assignment.ts";
import { bloomAdd, createBloom, emptyBloom } from "../protocol/bloom.ts";
import { type CommitteeSelection, selectRoundCommittee } from "../protocol/committee.ts";
import type {
  BatchId,
  Bloom,
  CoordinatorState,
  NodeIdentity,
} from "../protocol/coordinator_state.ts";
import { currentRound } from "../protocol/run_state.ts";
import { sha256 } from "../protocol/sha256.ts";
import type { BlobTicket } from "../p2p/peer_network.ts";
import type { DistroResult } from "../trainer/trainer.ts";

/** One announced result of one batch and how far its download is. */
export interface Announcement {
  batchId: BatchId;
  sender: NodeIdentity;
  dataHash: Uint8Array;
  ticket: BlobTicket;
  status: "fetching" | "ready" | "failed";
  /** Decoded and hash-checked; present when `status` is `ready`. */
  result: DistroResult | null;
  /** Sender's trainer nonce, self-reported. */
  trainerNonce: number;
}

/** Identifies a round over a whole run. */
export function roundKey(epoch: number, height: number): string {
  return `${epoch}/${height}`;
}

/**
 * What this client knows about one round: who had to do what, what was announced, what has arrived.
 * Pure bookkeeping; client-lifecycle.md sections 5.4, 7.2, 7.4.
 */
export class RoundRecord {
  readonly epoch: number;
  readonly height: number;
  readonly step: number;
  /** Epoch members when the round began, in chain order. */
  readonly clients: readonly NodeIdentity[];
  /** Null in the warmup record, where nobody is elected. */
  readonly committee: CommitteeSelection | null;
  /** Batch text -> batch and index of its trainer in `clients`; empty in rounds without training. */
  readonly assignments: ReadonlyMap<string, { batchId: BatchId; client: number }>;
  /** Batch text -> announcements in order of arrival. */
  readonly announcements = new Map<string, Announcement[]>();
  /** Signers (hex) whose Finished message was seen. */
  readonly finished = new Set<string>();
  /** Commitment hashes in order of arrival: the merkle leaves. */
  readonly broadcastHashes: Uint8Array[] = [];
  readonly participantBloom: Bloom;
  readonly broadcastBloom: Bloom;
  readonly #remaining: Set<string>;

  constructor(options: {
    epoch: number;
    height: number;
    step: number;
    clients: readonly NodeIdentity[];
    committee: CommitteeSelection | null;
    assignments: Map<string, { batchId: BatchId; client: number }>;
    participantBloom: Bloom;
    broadcastBloom: Bloom;
  }) {
    this.epoch = options.epoch;
    this.height = options.height;
    this.step = options.step;
    this.clients = options.clients;
    this.committee = options.committee;
    this.assignments = options.assignments;
    this.participantBloom = options.participantBloom;
    this.broadcastBloom = options.broadcastBloom;
    this.#remaining = new Set(options.assignments.keys());
  }

  /** The record in force before the first round of an epoch: step 0, nothing assigned. */
  static warmup(state: CoordinatorState): RoundRecord {
    return new RoundRecord({
      epoch: state.progress.epoch,
      height: -1,
      step: 0,
      clients: state.epochState.clients.map((client) => client.id),
      committee: null,
      assignments: new Map(),
      participantBloom: emptyBloom(),
      broadcastBloom: emptyBloom(),
    });
  }

  /**
   * The record of the chain's current round.
   *
   * @param bloomKeys returns 8 random keys for one filter
   * @throws PsycheError `COMMITTEE_INCONSISTENT`
   */
  static current(state: CoordinatorState, bloomKeys: () => BigUint64Array): RoundRecord {
    const round = currentRound(state);
    const assignments = new Map<string, { batchId: BatchId; client: number }>();
    for (const { clientIndex, batchId } of assignBatches(state)) {
      assignments.set(batchIdText(batchId), { batchId, client: clientIndex });
    }
    return new RoundRecord({
      epoch: state.progress.epoch,
      height: round.height,
      step: state.progress.step,
      clients: state.epochState.clients.map((client) => client.id),
      committee: selectRoundCommittee(state, round),
      assignments,
      participantBloom: createBloom(bloomKeys()),
      broadcastBloom: createBloom(bloomKeys()),
    });
  }

  get key(): string {
    return roundKey(this.epoch, this.height);
  }

  /** True when every assigned batch has arrived (at once when nothing is assigned). */
  get complete(): boolean {
    return this.#remaining.size === 0;
  }

  /** Batches of one client, ascending. */
  batchesOf(client: number): BatchId[] {
    return [...this.assignments.values()]
      .filter((assignment) => assignment.client === client)
      .map((assignment) => assignment.batchId)
      .sort((a, b) => (a.start < b.start ? -1 : 1));
  }

  /** Index of the member with this p2p key, or -1. */
  indexOfPeer(p2pIdentity: Uint8Array): number {
    const wanted = p2pIdentity.toHex();
    return this.clients.findIndex((client) => client.p2pIdentity.toHex() === wanted);
  }

  /** Adds an announcement unless its blob is already known; returns it when it is new. */
  announce(
    announcement: Omit<Announcement, "status" | "result" | "trainerNonce">,
  ): Announcement | null {
    const key = batchIdText(announcement.batchId);
    const list = this.announcements.get(key) ?? [];
    const blob = announcement.ticket.hash.toHex();
    if (list.some((known) => known.ticket.hash.toHex() === blob)) return null;
    const entry: Announcement = {
      ...announcement,
      status: "fetching",
      result: null,
      trainerNonce: 0,
    };
    list.push(entry);
    this.announcements.set(key, list);
    this.broadcastHashes.push(announcement.dataHash);
    return entry;
  }

  /** Records a verified result; only the first of a batch enters the broadcast filter. */
  resultArrived(announcement: Announcement, result: DistroResult, trainerNonce: number): void {
    announcement.status = "ready";
    announcement.result = result;
    announcement.trainerNonce = trainerNonce;
    const key = batchIdText(announcement.batchId);
    if (!this.assignments.has(key)) return;
    bloomAdd(this.participantBloom, sha256(announcement.sender.signer));
    if (this.#remaining.delete(key)) bloomAdd(this.broadcastBloom, announcement.dataHash);
  }

  /** Records a Finished message of a member; false when it was known. */
  memberFinished(signer: Uint8Array, dataHash: Uint8Array): boolean {
    const key = signer.toHex();
    if (this.finished.has(key)) return false;
    this.finished.add(key);
    this.broadcastHashes.push(dataHash);
    return true;
  }

  /** True when every member's Finished message was seen. */
  get allFinished(): boolean {
    return this.clients.every((client) => this.finished.has(client.signer.toHex()));
  }
}
