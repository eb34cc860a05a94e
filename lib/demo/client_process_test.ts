import assert from "node:assert/strict";
import { startClientProcess } from "./client_process.ts";

Deno.test("a client whose events cannot be taken is stopped only when its process has ended", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const last = `${folder}/last`;
    // It takes its time to end, as one that writes its checkpoint.
    const code = `
      Deno.addSignalListener("SIGTERM", () => setTimeout(() => {
        Deno.writeTextFileSync(${JSON.stringify(last)}, "");
        Deno.exit(0);
      }, 300));
      console.log(JSON.stringify({ type: "stopped", time: 1, client: "c", reason: "finished" }));
      setInterval(() => {}, 1000);`;
    const taken = Promise.withResolvers<void>();
    const client = startClientProcess(["eval", code], () => {
      taken.resolve();
      throw new Error("the log is full");
    });
    await taken.promise;
    await assert.rejects(client.stop(), /the log is full/);
    await Deno.stat(last);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
