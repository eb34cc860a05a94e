import assert from "node:assert/strict";
import { join } from "node:path";
import { confirmAddresses } from "./build_image.ts";
import { docker, dockerOutput, requireEngine } from "./docker.ts";

Deno.test("a command that an interruption ends has not failed: its reason is thrown", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const command = join(folder, "docker");
    await Deno.writeTextFile(command, "#!/bin/sh\nexec sleep 60\n", { mode: 0o755 });
    const commands: ((signal: AbortSignal) => Promise<unknown>)[] = [
      (signal) => docker(["build"], { command, signal }),
      (signal) => dockerOutput(["inspect"], { command, signal }),
      (signal) => requireEngine({ command, signal }),
      (signal) =>
        confirmAddresses({ args: ["eval", "setInterval(() => {}, 1000)"], env: {} }, signal),
    ];
    for (const run of commands) {
      const interruption = new AbortController();
      setTimeout(() => interruption.abort("interrupted"), 100);
      await assert.rejects(run(interruption.signal), (error) => error === "interrupted");
    }
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
