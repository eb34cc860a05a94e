import assert from "node:assert/strict";
import { join } from "node:path";
import { fileFetch } from "./file_fetch.ts";

Deno.test("a directory answers like the server of a run's data", async () => {
  const directory = await Deno.makeTempDir();
  try {
    await Deno.writeFile(join(directory, "data.bin"), Uint8Array.of(1, 2, 3, 4, 5));
    const fetch = fileFetch(directory);
    const url = "http://127.0.0.1:1/data/data.bin";
    const head = await fetch(url, { method: "HEAD" });
    assert.equal(head.headers.get("content-length"), "5");
    const part = await fetch(url, { headers: { range: "bytes=1-3" } });
    assert.equal(part.status, 206);
    assert.deepEqual(new Uint8Array(await part.arrayBuffer()), Uint8Array.of(2, 3, 4));
    await assert.rejects(fetch("http://127.0.0.1:1/data/other.bin"), Deno.errors.NotFound);
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
});
