import assert from "node:assert/strict";
import { createEventWriter } from "./event_writer.ts";
import { createOutput } from "./output.ts";
import { denoRuntime } from "./runtime.ts";
import { testRuntime } from "./test_runtime.ts";

Deno.test("a missing file is none; one that cannot be read or written is an error of ours", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const { readTextFile, listDirectory } = denoRuntime();
    assert.equal(readTextFile(`${folder}/nothing`), undefined);
    assert.deepEqual(listDirectory(`${folder}/nothing`), []);
    assert.throws(() => readTextFile(folder), { code: "FILE_UNREADABLE" });
    const output = createOutput(testRuntime([]), { json: false });
    assert.throws(
      () => createEventWriter(output, { logs: "none", client: "c", logFile: `${folder}/no/log` }),
      { code: "LOG_FILE_UNWRITABLE" },
    );
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
