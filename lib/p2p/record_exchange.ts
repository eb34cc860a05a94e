/**
 * Peer exchange: neighbours swap the signed address records they hold, so that one reachable peer
 * is enough to find all others.
 *
 * Both sides send everything when a link comes up; a record that is news is passed on to a few
 * neighbours; and while an allowed peer is missing, a random neighbour is asked now and then.
 */

import type { AddressRecord } from "./address_record.ts";
import { pick } from "./message_mesh.ts";
import { LinkFrame, MAX_LINK_FRAME, type NeighbourLinks } from "./neighbour_links.ts";
import type { PeerDirectory } from "./peer_directory.ts";

const FANOUT = 4;
const ASK_INTERVAL_MS = 2_000;
/** A neighbour that asks more often is not answered: the question is short and the answer long. */
const ANSWER_INTERVAL_MS = 1_000;

export class RecordExchange {
  readonly #directory: PeerDirectory;
  readonly #links: NeighbourLinks;
  readonly #own: () => AddressRecord | null;
  readonly #onNew: () => void;
  readonly #answered = new Map<string, number>();
  #timer: ReturnType<typeof setInterval> | undefined;

  constructor(options: {
    directory: PeerDirectory;
    links: NeighbourLinks;
    /** One's own current record. */
    own: () => AddressRecord | null;
    /** Called when the directory learned something. */
    onNew: () => void;
  }) {
    this.#directory = options.directory;
    this.#links = options.links;
    this.#own = options.own;
    this.#onNew = options.onNew;
  }

  start(): void {
    this.#timer = setInterval(() => this.askIfMissing(), ASK_INTERVAL_MS);
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  /** Sends everything known to a neighbour. */
  sendAll(key: string): void {
    const own = this.#own();
    const records = this.#directory.records(Date.now()).filter((record) => record.key !== key);
    if (own !== null) records.unshift(own);
    for (const frame of recordFrames(records)) this.#links.send(key, frame);
  }

  /** Answers a neighbour that wants records. */
  answer(key: string): void {
    const now = performance.now();
    if (now - (this.#answered.get(key) ?? -Infinity) < ANSWER_INTERVAL_MS) return;
    this.#answered.set(key, now);
    this.sendAll(key);
  }

  /** Sends one record to a few neighbours. */
  spread(record: AddressRecord): void {
    const [frame] = recordFrames([record]);
    for (const key of pick(this.#links.neighbours, FANOUT)) this.#links.send(key, frame);
  }

  /** Asks a few neighbours for their records while an allowed peer is not linked. */
  askIfMissing(): void {
    const missing = [...this.#directory.allowed].some((key) => !this.#links.has(key));
    if (!missing) return;
    const frame = Uint8Array.of(LinkFrame.RecordsWanted);
    for (const key of pick(this.#links.neighbours, 1)) this.#links.send(key, frame);
  }

  /** Takes the body of a records frame, or the text of an address-book file. */
  receive(text: string, expectedKey?: string): void {
    let learned = false;
    for (const line of text.split("\n")) {
      const record = this.#directory.offer(line, Date.now(), expectedKey);
      if (record === null) continue;
      learned = true;
      this.spread(record);
    }
    if (learned) this.#onNew();
  }
}

/** Records as frames, one record a line, each frame within the limit of the link. */
export function recordFrames(records: AddressRecord[]): Uint8Array[] {
  const frames: Uint8Array[] = [];
  let lines: string[] = [];
  let size = 1;
  const flush = () => {
    if (lines.length === 0) return;
    const body = new TextEncoder().encode(lines.join("\n"));
    const frame = new Uint8Array(1 + body.length);
    frame[0] = LinkFrame.Records;
    frame.set(body, 1);
    frames.push(frame);
    lines = [];
    size = 1;
  };
  for (const { text } of records) {
    if (size + text.length + 1 > MAX_LINK_FRAME) flush(); // records are ASCII: isAddress, hex, digits
    lines.push(text);
    size += text.length + 1;
  }
  flush();
  return frames;
}
