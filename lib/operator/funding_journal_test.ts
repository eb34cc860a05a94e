import assert from "node:assert/strict";
import { PsycheError } from "../error.ts";
import {
  fundingJournalPath,
  readFundingJournal,
  removeFundingJournal,
  withFundingLock,
  writeFundingJournal,
} from "./funding_journal.ts";

const isError = (code: string) => (error: unknown) =>
  error instanceof PsycheError && error.code === code;

Deno.test("the journal of transfers under way", async () => {
  const directory = await Deno.makeTempDir({ prefix: "psyche-journal-" });
  const path = fundingJournalPath(directory, "genesis", "sender");
  try {
    await withFundingLock(path, async () => {
      assert.deepEqual(await readFundingJournal(path), []);
      const pending = [{ signature: "s", bytes: Uint8Array.of(1, 255), lastValidBlockHeight: 7 }];
      await writeFundingJournal(path, pending);
      assert.deepEqual(await readFundingJournal(path), pending);
      await assert.rejects(
        withFundingLock(path, () => Promise.resolve()),
        isError("FUNDING_UNDER_WAY"),
      );
      await removeFundingJournal(path);
      await removeFundingJournal(path);
      assert.deepEqual(await readFundingJournal(path), []);
    });
    // A journal that cannot be read must stop the funding, not be taken for an empty one.
    for (const text of ["", "{", "null", '{"pending":[{"signature":1}]}', '{"pending":{}}']) {
      await Deno.writeTextFile(path, text);
      await assert.rejects(readFundingJournal(path), isError("FUNDING_JOURNAL_INVALID"), text);
    }
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
});
