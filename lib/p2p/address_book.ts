/**
 * The shared address-book directory: each node keeps one file with its own signed record there and
 * reads the files of the peers it looks for. Clients on one machine, or with a common volume, find
 * each other that way without configuration.
 *
 * Files are read by name on a timer instead of being watched: file notifications do not cross
 * container volumes, and only the few names still missing are looked at.
 */

import { join } from "node:path";
import { type AddressRecord, MAX_RECORD_SIZE } from "./address_record.ts";

export class AddressBook {
  readonly #directory: string;
  readonly #topicName: string;
  #published: string | null = null;

  constructor(directory: string, topic: Uint8Array) {
    this.#directory = directory;
    this.#topicName = topic.subarray(0, 8).toHex(); // one identity may serve several runs
  }

  /** Writes (temporary file, then rename) one's own record. */
  async publish(record: AddressRecord): Promise<void> {
    await Deno.mkdir(this.#directory, { recursive: true });
    const path = this.#path(record.key);
    const temporary = `${path}.${crypto.randomUUID()}.tmp`;
    try {
      await Deno.writeTextFile(temporary, record.text + "\n", { createNew: true });
      await Deno.rename(temporary, path);
    } catch (error) {
      await Deno.remove(temporary).catch(() => {});
      throw error;
    }
    this.#published = path;
  }

  /** The record text somebody left for `key`, unverified; null when there is none of a sane size. */
  async read(key: string): Promise<string | null> {
    try {
      const path = this.#path(key);
      if ((await Deno.stat(path)).size > MAX_RECORD_SIZE + 1) return null;
      return (await Deno.readTextFile(path)).trimEnd();
    } catch {
      return null; // not there (yet), or unreadable: the other ways of discovery go on
    }
  }

  /** Removes one's own record. */
  async withdraw(): Promise<void> {
    if (this.#published !== null) await Deno.remove(this.#published).catch(() => {});
    this.#published = null;
  }

  #path(key: string): string {
    return join(this.#directory, `${key}-${this.#topicName}.json`);
  }
}
