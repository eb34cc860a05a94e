import assert from "node:assert/strict";
import { createLocalnet } from "./start.ts";

Deno.test("reading a large account again and again keeps memory bounded", async () => {
  const { node } = createLocalnet();
  const key = new Uint8Array(32).fill(3);
  const size = 8 * 1024 * 1024;
  node.svm.setAccount(key, {
    lamports: node.svm.rentExemption(size),
    data: new Uint8Array(size).fill(5),
    owner: new Uint8Array(32).fill(4),
    executable: false,
    rentEpoch: 0n,
  });
  const before = Deno.memoryUsage().rss;
  for (let i = 0; i < 40; i++) {
    assert.equal(node.svm.account(key)!.data[size - 1], 5);
    // Requests come in turns of the event loop; native memory is given back there.
    await new Promise((next) => setTimeout(next, 0));
  }
  const grown = (Deno.memoryUsage().rss - before) / 2 ** 20;
  assert.ok(grown < 300, `grew by ${grown.toFixed()} MiB`);
});
