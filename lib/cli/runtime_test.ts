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

Deno.test("a client whose output is full goes on, also when nobody can be warned", () => {
  const runtime = testRuntime([]);
  const full = () => {
    throw new Error("No space left on device");
  };
  const output = createOutput({ ...runtime, stdout: full }, { json: false });
  const mute = createOutput({ ...runtime, stdout: full, stderr: full }, { json: false });
  for (const logs of ["json", "console"] as const) {
    for (const place of [output, mute]) {
      const writer = createEventWriter(place, { logs, client: "c" });
      for (let i = 0; i < 3; i++) writer.emit({ type: "waiting", reason: "members" });
      writer.close();
    }
  }
  const warnings = runtime.written.stderr.trimEnd().split("\n");
  assert.equal(warnings.length, 2);
  assert.match(warnings[0], /^warning: .* standard output \(No space left/);
});
