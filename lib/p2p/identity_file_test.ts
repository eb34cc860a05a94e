import assert from "node:assert/strict";
import { join } from "node:path";
import { createIdentityFile, readIdentityFile } from "./identity_file.ts";

async function inTemporaryDirectory(body: (directory: string) => Promise<void>): Promise<void> {
  const directory = await Deno.makeTempDir();
  try {
    await body(directory);
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
}

Deno.test("a created identity file is read back, is private and is never overwritten", () =>
  inTemporaryDirectory(async (directory) => {
    const path = join(directory, "identity");
    const secret = await createIdentityFile(path);
    assert.deepEqual(await readIdentityFile(path), secret);
    if (Deno.build.os !== "windows") {
      assert.equal((await Deno.stat(path)).mode! & 0o777, 0o600);
    }
    await assert.rejects(createIdentityFile(path), { code: "P2P_IDENTITY_FILE_EXISTS" });
    assert.deepEqual(await readIdentityFile(path), secret);
  }));

Deno.test("a file of another length, a missing file and a missing directory are named", () =>
  inTemporaryDirectory(async (directory) => {
    for (const length of [0, 31, 33, 64]) {
      const path = join(directory, `identity-${length}`);
      await Deno.writeFile(path, new Uint8Array(length));
      await assert.rejects(readIdentityFile(path), { code: "P2P_IDENTITY_FILE_INVALID" });
    }
    const missing = join(directory, "none", "identity");
    await assert.rejects(readIdentityFile(missing), { code: "P2P_IDENTITY_FILE_UNREADABLE" });
    await assert.rejects(createIdentityFile(missing), { code: "P2P_IDENTITY_FILE_UNWRITABLE" });
  }));
