/** One's own signed address record: made, kept fresh, published and withdrawn. */

import type { AddressBook } from "./address_book.ts";
import { type AddressRecord, isAddress, signAddressRecord } from "./address_record.ts";
import type { Signer } from "./signing.ts";

/** Life of a record; it is renewed at a third of it. */
const LIFETIME_MS = 30 * 60 * 1000;

export interface OwnRecordOptions {
  signer: Signer;
  topic: Uint8Array;
  book: AddressBook | null;
  /** One's own addresses at the moment. */
  addresses: () => string[];
  /** Called with each new record. */
  onRenewed: (record: AddressRecord) => void;
  onLog: (line: string) => void;
}

export class OwnRecord {
  readonly #options: OwnRecordOptions;
  #current: AddressRecord | null = null;
  #renewal: Promise<void> = Promise.resolve();
  #timer: ReturnType<typeof setInterval> | undefined;

  constructor(options: OwnRecordOptions) {
    this.#options = options;
  }

  /** Null before `start`. */
  get current(): AddressRecord | null {
    return this.#current;
  }

  /** Makes and publishes the first record and renews it from then on. */
  async start(): Promise<void> {
    const renew = () => this.#renewal = this.#renew();
    this.#timer = setInterval(renew, LIFETIME_MS / 3);
    await renew();
  }

  async stop(): Promise<void> {
    clearInterval(this.#timer);
    await this.#renewal; // or it would publish again what is withdrawn here
    await this.#options.book?.withdraw();
  }

  async #renew(): Promise<void> {
    const { signer, topic, book, addresses, onRenewed, onLog } = this.#options;
    const now = Date.now();
    this.#current = signAddressRecord(signer, topic, {
      sequence: Math.max(now, (this.#current?.sequence ?? 0) + 1), // clocks may step back
      addresses: addresses().filter(isAddress),
      expires: now + LIFETIME_MS,
    });
    onRenewed(this.#current);
    try {
      await book?.publish(this.#current);
    } catch (error) {
      onLog(`cannot write to the address book: ${error}`); // the other ways of discovery go on
    }
  }
}
