import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";

/** In a process of its own: memory is counted by process, and tests may run side by side. */
const PROGRAM = `
import { Svm } from ${JSON.stringify(new URL("./svm.ts", import.meta.url).href)};
const svm = new Svm();
const key = new Uint8Array(32).fill(3);
const size = 8 * 1024 * 1024;
svm.setAccount(key, {
  lamports: svm.rentExemption(size),
  data: new Uint8Array(size).fill(5),
  owner: new Uint8Array(32).fill(4),
  executable: false,
  rentEpoch: 0n,
});
const before = Deno.memoryUsage().rss;
for (let i = 0; i < 40; i++) {
  if (svm.account(key).data[size - 1] !== 5) throw new Error("wrong data");
  // Requests come in turns of the event loop; native memory is given back there.
  await new Promise((next) => setTimeout(next, 0));
}
console.log((Deno.memoryUsage().rss - before) / 2 ** 20);
`;

Deno.test("reading a large account again and again keeps memory bounded", async () => {
  const { code, stdout } = await new Deno.Command(Deno.execPath(), {
    args: ["eval", PROGRAM],
    cwd: fileURLToPath(new URL("../..", import.meta.url)),
    stderr: "inherit",
  }).output();
  assert.equal(code, 0);
  const grown = Number(new TextDecoder().decode(stdout));
  // 40 reads make 640 MiB of copies.
  assert.ok(grown < 300, `grew by ${grown.toFixed()} MiB`);
});
