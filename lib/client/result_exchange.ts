import { setTimeout as sleep } from "node:timers/promises";
import { PsycheError } from "../error.ts";
import type { EventSink } from "../events/event.ts";
import type { BlobTicket, PeerMessage, PeerNetwork } from "../p2p/peer_network.ts";
import { verifySignature } from "../p2p/signing.ts";
import { batchIdText } from "../protocol/assignment.ts";
import { finishedHash, trainingResultHash } from "../protocol/commitment.ts";
import { type BatchId, Committee } from "../protocol/coordinator_state.ts";
import {
  type CompressedShape,
  decodeDistroResult,
  encodeDistroResult,
} from "../protocol/distro_result_codec.ts";
import {
  type Broadcast,
  decodeBroadcast,
  encodeBroadcast,
  MAX_BROADCAST_SIZE,
} from "../protocol/messages.ts";
import type { DistroResult } from "../trainer/trainer.ts";
import type { Announcement, RoundRecord } from "./round_record.ts";

/** Rounds whose blobs are kept for late peers, client-lifecycle.md section 5.6. */
const KEPT_STEPS = 2;
/** Rounds before the current one whose announcements are remembered, for members that are late. */
const HEARD_STEPS = 8;
/** Own messages are repeated this often, cluster milliseconds; gossip does not promise delivery. */
const REBROADCAST_MILLISECONDS = 2_000;
/** Not more often than this, wall milliseconds. */
const MINIMUM_REBROADCAST = 250;
/** Waits before the repeated downloads of one result, wall milliseconds (section 5.5). */
const RETRY_WAITS = [250, 1_000, 2_000, 4_000];
/** Errors of a download that another attempt cannot mend. */
const HOPELESS = new Set(["RESULT_HASH_MISMATCH", "MESSAGE_INVALID"]);
/** Longest answer to `results:STEP`, bytes; a result announcement takes about 250. */
const MAX_LIST = 1 << 18;
/** How often members that do not say what they heard are asked, and the time between two attempts. */
const RECONCILE_ATTEMPTS = 5;
const RECONCILE_PAUSE_MILLIS = 100;
/** Messages of a step that the chain has not shown us yet; more are dropped. */
const MAX_EARLY_MESSAGES = 1_024;

/** What results of the run's model look like; everything else is refused. */
export interface ResultFormat {
  /** The compressed form of every parameter, in name order. */
  expected: CompressedShape[];
  /** Upper bound of an encoded result, bytes. */
  maxResultSize: number;
}

export interface ResultExchangeOptions {
  network: PeerNetwork;
  /** Asked when the first result of a round is announced; the model is loaded by then. */
  format: () => ResultFormat;
  emit: EventSink;
  /** Cluster milliseconds per wall millisecond. */
  clockRate: number;
  /** Called after anything arrived that a waiting step could be interested in. */
  onProgress: () => void;
}

interface OwnBroadcast {
  message: Broadcast;
  step: number;
}

/**
 * Announces own results, takes in those of others: gossip for the announcements, content-addressed
 * blobs for the tensors. Nothing of a peer is used before its signature, its committee proof, its hash
 * and its shape have been checked; what fails is counted and forgotten.
 * docs/protocol/client-lifecycle.md sections 5.3 to 5.6, 7.4.
 */
export class ResultExchange {
  readonly #options: ResultExchangeOptions;
  readonly #stop = new AbortController();
  readonly #own: OwnBroadcast[] = [];
  readonly #blobs: { step: number; hash: Uint8Array }[] = [];
  readonly #dropped = new Map<string, number>();
  /** Encoded result announcements by step, for members that missed one. */
  readonly #heard = new Map<number, Uint8Array[]>();
  readonly #timer: ReturnType<typeof setInterval>;
  #early: { message: PeerMessage; broadcast: Broadcast }[] = [];
  #current: RoundRecord | null = null;
  #previous: RoundRecord | null = null;
  /** The record before the previous one: its results are being applied. */
  #applied: RoundRecord | null = null;
  #nonce = crypto.getRandomValues(new Uint32Array(1))[0];
  #nextRebroadcast = 0;

  constructor(options: ResultExchangeOptions) {
    this.#options = options;
    options.network.onMessage((message) => this.#receive(message));
    this.#timer = setInterval(
      () => this.#rebroadcast(),
      Math.max(MINIMUM_REBROADCAST, REBROADCAST_MILLISECONDS / options.clockRate),
    );
  }

  get current(): RoundRecord | null {
    return this.#current;
  }

  get previous(): RoundRecord | null {
    return this.#previous;
  }

  /** Messages that were refused, by reason. */
  get dropped(): ReadonlyMap<string, number> {
    return this.#dropped;
  }

  /** Begins an epoch: forgets all rounds. */
  begin(warmup: RoundRecord): void {
    this.#forget();
    // After a pause steps may come a second time; those before them are still asked for by who is late.
    this.#forgetHeard((step) => step >= warmup.step);
    this.#current = warmup;
    this.#replayEarly();
  }

  /** Ends an epoch: later messages wait for the next one. */
  end(): void {
    this.#forget();
  }

  /** Begins a round: the current record becomes the previous one. */
  rotate(next: RoundRecord): void {
    this.#heard.set(next.step, []);
    this.#forgetHeard((step) => step < next.step - HEARD_STEPS);
    this.#applied = this.#previous;
    this.#previous = this.#current;
    this.#current = next;
    const keepFrom = next.step - KEPT_STEPS;
    for (let i = this.#own.length - 1; i >= 0; i--) {
      if (this.#own[i].step < keepFrom) this.#own.splice(i, 1);
    }
    for (let i = this.#blobs.length - 1; i >= 0; i--) {
      if (this.#blobs[i].step >= keepFrom) continue;
      this.#options.network.removeBlob(this.#blobs[i].hash);
      this.#blobs.splice(i, 1);
    }
    this.#replayEarly();
  }

  #forget(): void {
    this.#own.length = 0;
    this.#applied = this.#previous = this.#current = null;
  }

  #forgetHeard(isOver: (step: number) => boolean): void {
    for (const step of this.#heard.keys()) if (isOver(step)) this.#heard.delete(step);
  }

  /** Ends downloads and repetitions. */
  close(): void {
    this.#stop.abort();
    clearInterval(this.#timer);
  }

  /**
   * Announces the result of an own batch of the current round.
   *
   * @returns size of the result as peers fetch it, bytes
   */
  async announceResult(
    record: RoundRecord,
    ownIndex: number,
    batchId: BatchId,
    result: DistroResult,
    trainerNonce: number,
  ): Promise<number> {
    const { network } = this.#options;
    const bytes = encodeDistroResult({
      step: record.step,
      trainerNonce,
      batchId,
      parameters: result,
    });
    const ticket = await network.putBlob(bytes);
    this.#blobs.push({ step: record.step, hash: ticket.hash });
    const dataHash = trainingResultHash({ step: record.step, batchId, parameters: result });
    const announcement = record.announce({
      batchId,
      sender: record.clients[ownIndex],
      dataHash,
      ticket,
    });
    if (announcement) record.resultArrived(announcement, result, trainerNonce);
    await this.#publish(record, ownIndex, dataHash, { kind: "TrainingResult", batchId, ticket });
    this.#options.onProgress();
    return bytes.length;
  }

  /** Announces that this member is done with the record's round; `merkle` is a 32-byte root. */
  async announceFinished(
    record: RoundRecord,
    ownIndex: number,
    merkle: Uint8Array,
  ): Promise<void> {
    const dataHash = finishedHash(merkle);
    record.memberFinished(record.clients[ownIndex].signer, dataHash);
    await this.#publish(record, ownIndex, dataHash, {
      kind: "Finished",
      merkle,
      warmup: record.committee === null,
    });
    this.#options.onProgress();
  }

  /**
   * Answers `results:STEP`: all announcements of that round, or null for another request.
   *
   * @throws PsycheError `ROUND_UNKNOWN` for a round that is not remembered: an empty list would say that
   * nothing was announced in it
   */
  answer(request: string): Uint8Array | null {
    const step = /^results:(\d{1,10})$/.exec(request)?.[1];
    if (step === undefined) return null;
    const heard = this.#heard.get(Number(step));
    if (heard !== undefined) return encodeBroadcastList(heard);
    throw new PsycheError(
      "ROUND_UNKNOWN",
      `Step ${step} is not remembered; ask another member of the run.`,
    );
  }

  /**
   * Asks the other members what they heard in a round. Gossip may lose a message for one client only;
   * who does not know a result that the witnesses accepted would go on with other weights.
   *
   * @param witnesses members of whom `required` know whatever was accepted: those who do not answer are
   * asked again until one of so many must have
   * @throws PsycheError `RESULT_MISSING` when that cannot be brought about
   */
  async reconcile(
    record: RoundRecord,
    { witnesses, required }: { witnesses: readonly Uint8Array[]; required: number },
    signal: AbortSignal,
  ): Promise<void> {
    const own = this.#options.network.publicKey.toHex();
    const holders = new Set(witnesses.map((identity) => identity.toHex()));
    let silent = record.clients
      .map(({ p2pIdentity }) => p2pIdentity)
      .filter((identity) => identity.toHex() !== own);
    for (let attempt = 0; attempt < RECONCILE_ATTEMPTS; attempt++) {
      if (attempt > 0) await sleep(RECONCILE_PAUSE_MILLIS, undefined, { signal }).catch(() => {});
      if (signal.aborted) return;
      const asked = await Promise.allSettled(
        silent.map((identity) => this.#askFor(record, identity, signal)),
      );
      silent = silent.filter((_, i) => asked[i].status === "rejected");
      const unheard = silent.filter((identity) => holders.has(identity.toHex())).length;
      if (unheard < required) return;
    }
    throw new PsycheError(
      "RESULT_MISSING",
      `Too few witnesses of step ${record.step} say which results they saw; ` +
        "this client leaves the epoch and rejoins at the next.",
    );
  }

  /** What one member heard in a round. */
  async #askFor(record: RoundRecord, member: Uint8Array, signal: AbortSignal): Promise<void> {
    const request = new TextEncoder().encode(`results:${record.step}`);
    const answer = await this.#options.network.request(member, request, {
      maxSize: MAX_LIST,
      signal,
    });
    for (const payload of decodeBroadcastList(answer)) {
      const broadcast = decodeBroadcast(payload);
      if (broadcast.step !== record.step || broadcast.data.kind !== "TrainingResult") continue;
      const assignment = record.assignments.get(batchIdText(broadcast.data.batchId));
      // The commitment is signed by its author, so it does not matter who passes it on.
      if (!assignment) continue;
      const from = record.clients[assignment.client].p2pIdentity;
      this.#accept({ from, payload }, broadcast);
    }
  }

  /**
   * Resolves with the result behind an announcement, fetching it again from every member if needed.
   *
   * @throws PsycheError `RESULT_MISSING` when no member can deliver it before `signal` aborts.
   */
  async obtain(
    record: RoundRecord,
    announcement: Announcement,
    signal: AbortSignal,
  ): Promise<DistroResult> {
    while (announcement.result === null) {
      if (signal.aborted) {
        throw new PsycheError(
          "RESULT_MISSING",
          `The accepted result of batch ${
            batchIdText(announcement.batchId)
          } at step ${record.step} ` +
            `could not be fetched from any peer; this client leaves the epoch and rejoins at the next.`,
        );
      }
      if (announcement.status === "failed") {
        announcement.status = "fetching";
        this.#fetch(record, announcement);
      }
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    return announcement.result;
  }

  async #publish(
    record: RoundRecord,
    ownIndex: number,
    dataHash: Uint8Array,
    data: Broadcast["data"],
  ): Promise<void> {
    const message: Broadcast = {
      step: record.step,
      proof: record.committee?.committeeProof(ownIndex) ??
        { committee: Committee.TieBreaker, position: 0n, index: 0n },
      commitment: { dataHash, signature: this.#options.network.sign(dataHash) },
      nonce: this.#nextNonce(),
      data,
    };
    this.#own.push({ message, step: record.step });
    const payload = encodeBroadcast(message);
    if (data.kind === "TrainingResult") this.#keep(record, payload);
    await this.#options.network.publish(payload);
  }

  #nextNonce(): number {
    this.#nonce = (this.#nonce + 1) >>> 0;
    return this.#nonce;
  }

  /** Repeats one own live message, round robin, under a new nonce. */
  #rebroadcast(): void {
    if (this.#own.length === 0) return;
    const { message } = this.#own[this.#nextRebroadcast++ % this.#own.length];
    message.nonce = this.#nextNonce();
    this.#options.network.publish(encodeBroadcast(message)).catch(() => this.#drop("publish"));
  }

  #drop(reason: string): void {
    this.#dropped.set(reason, (this.#dropped.get(reason) ?? 0) + 1);
  }

  #receive(message: PeerMessage): void {
    let broadcast: Broadcast;
    try {
      broadcast = decodeBroadcast(message.payload);
    } catch {
      return this.#drop("malformed");
    }
    this.#accept(message, broadcast);
  }

  /** Client-lifecycle.md section 5.4, in its order. */
  #accept(message: PeerMessage, broadcast: Broadcast): void {
    const record = this.#recordOf(broadcast.step);
    if (!record) {
      // The sender may have seen the new round before us: keep it for when the chain shows it to us.
      if (this.#current && broadcast.step < this.#current.step) return this.#drop("old step");
      if (this.#early.length >= MAX_EARLY_MESSAGES) return this.#drop("too early");
      this.#early.push({ message, broadcast });
      return;
    }
    const index = record.indexOfPeer(message.from);
    if (index < 0) return this.#drop("not a member");
    const { dataHash, signature } = broadcast.commitment;
    if (!verifySignature(message.from, dataHash, signature)) return this.#drop("bad commitment");
    if (record.committee) {
      const { proof } = broadcast;
      if (
        proof.index !== BigInt(index) || proof.committee !== Committee.Trainer ||
        !record.committee.verifyCommittee(proof)
      ) return this.#drop("bad committee proof");
    }
    if (broadcast.data.kind === "Finished") {
      if (broadcast.data.warmup !== (record.committee === null)) return this.#drop("wrong phase");
      if (record.memberFinished(record.clients[index].signer, dataHash)) this.#options.onProgress();
      return;
    }
    const { batchId, ticket } = broadcast.data;
    if (this.#acceptResult(record, index, dataHash, batchId, ticket)) {
      this.#keep(record, message.payload);
    }
  }

  #keep(record: RoundRecord, payload: Uint8Array): void {
    const heard = this.#heard.get(record.step) ?? [];
    heard.push(payload);
    this.#heard.set(record.step, heard);
  }

  #acceptResult(
    record: RoundRecord,
    index: number,
    dataHash: Uint8Array,
    batchId: BatchId,
    ticket: BlobTicket,
  ): boolean {
    const assignment = record.assignments.get(batchIdText(batchId));
    if (!assignment || assignment.client !== index) {
      this.#drop("not assigned");
      return false;
    }
    if (ticket.size > this.#options.format().maxResultSize) {
      this.#drop("result too large");
      return false;
    }
    const announcement = record.announce({
      batchId,
      sender: record.clients[index],
      dataHash,
      ticket,
    });
    if (!announcement) return false;
    this.#fetch(record, announcement);
    return true;
  }

  #recordOf(step: number): RoundRecord | null {
    if (this.#current?.step === step) return this.#current;
    if (this.#previous?.step === step) return this.#previous;
    if (this.#applied?.step === step) return this.#applied;
    return null;
  }

  #replayEarly(): void {
    const waiting = this.#early;
    this.#early = [];
    for (const { message, broadcast } of waiting) this.#accept(message, broadcast);
  }

  /** Downloads and verifies in the background; a failure only marks the announcement. */
  #fetch(record: RoundRecord, announcement: Announcement): void {
    this.#download(record, announcement).then(
      (bytes) => {
        this.#options.emit({
          type: "received",
          step: record.step,
          batch: batchIdText(announcement.batchId),
          from: announcement.sender.signer.toHex().slice(0, 8),
          bytes,
        });
        this.#options.onProgress();
      },
      (error) => {
        announcement.status = "failed";
        this.#drop(error instanceof PsycheError ? error.code : "download");
      },
    );
  }

  async #download(record: RoundRecord, announcement: Announcement): Promise<number> {
    const { network } = this.#options;
    const { expected, maxResultSize } = this.#options.format();
    const own = network.publicKey.toHex();
    const providers = [
      announcement.sender.p2pIdentity,
      ...record.clients
        .map((client) => client.p2pIdentity)
        .filter((key) => key.toHex() !== own && key !== announcement.sender.p2pIdentity),
    ];
    for (let attempt = 0;; attempt++) {
      try {
        const bytes = await network.fetchBlob(announcement.ticket, {
          providers,
          maxSize: maxResultSize,
          signal: this.#stop.signal,
        });
        this.#blobs.push({ step: record.step, hash: announcement.ticket.hash });
        const payload = decodeDistroResult(bytes, expected);
        const dataHash = trainingResultHash(payload);
        if (
          dataHash.toHex() !== announcement.dataHash.toHex() || payload.step !== record.step ||
          batchIdText(payload.batchId) !== batchIdText(announcement.batchId)
        ) {
          throw new PsycheError(
            "RESULT_HASH_MISMATCH",
            `A peer's result for batch ${batchIdText(announcement.batchId)} does not match its ` +
              "signed commitment and was dropped.",
          );
        }
        record.resultArrived(announcement, payload.parameters, payload.trainerNonce);
        return bytes.length;
      } catch (error) {
        // Wrong bytes stay wrong; only an unreachable holder is worth another attempt.
        const hopeless = error instanceof PsycheError && HOPELESS.has(error.code);
        if (hopeless || attempt >= RETRY_WAITS.length || this.#stop.signal.aborted) throw error;
        await new Promise((resolve) => setTimeout(resolve, RETRY_WAITS[attempt]));
      }
    }
  }
}

/** Messages one after the other, each behind its length (u16 LE). */
function encodeBroadcastList(payloads: Uint8Array[]): Uint8Array {
  const bytes = new Uint8Array(payloads.reduce((size, payload) => size + 2 + payload.length, 0));
  const view = new DataView(bytes.buffer);
  let at = 0;
  for (const payload of payloads) {
    view.setUint16(at, payload.length, true);
    bytes.set(payload, at + 2);
    at += 2 + payload.length;
  }
  return bytes;
}

/** Reads as many whole messages as there are; what follows is ignored. */
function decodeBroadcastList(bytes: Uint8Array): Uint8Array[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const payloads: Uint8Array[] = [];
  for (let at = 0; at + 2 <= bytes.length;) {
    const length = view.getUint16(at, true);
    if (length > MAX_BROADCAST_SIZE || at + 2 + length > bytes.length) break;
    payloads.push(bytes.slice(at + 2, at + 2 + length));
    at += 2 + length;
  }
  return payloads;
}
