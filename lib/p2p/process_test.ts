import assert from "node:assert/strict";
import { createSigner } from "./signing.ts";
import {
  inbox,
  seedOf,
  start,
  temporaryDirectory,
  until,
  untilConnected,
} from "./test_networks.ts";

/** Starts a child process with network `number`, which says hello to network 1 and then does `rest`. */
function spawnPeer(number: number, directory: string, rest: string): Deno.ChildProcess {
  const here = import.meta.url;
  const program = `
    const { seedOf, start, untilConnected } = await import(
      ${JSON.stringify(new URL("test_networks.ts", here).href)});
    const network = await start(${number}, { addressBookDirectory: ${JSON.stringify(directory)} });
    network.setAllowList([Uint8Array.fromHex("${createSigner(seedOf(1)).publicKey.toHex()}")]);
    await untilConnected(1, network);
    await network.publish(new TextEncoder().encode("hello " + crypto.randomUUID()));
    ${rest}`;
  return new Deno.Command(Deno.execPath(), {
    args: ["eval", program],
    cwd: new URL(".", here).pathname,
    stdin: "null",
    stdout: "null",
    stderr: "inherit",
  }).spawn();
}

Deno.test("a process ends by itself once its network is closed", async () => {
  await using directory = await temporaryDirectory();
  await using a = await start(1, { addressBookDirectory: directory.path });
  a.setAllowList([createSigner(seedOf(2)).publicKey]);
  const box = inbox(a);
  const child = spawnPeer(2, directory.path, "setTimeout(() => network.close(), 1500);");
  const killer = setTimeout(() => child.kill("SIGKILL"), 20_000);
  const { success } = await child.status;
  clearTimeout(killer);
  assert.ok(success, "the child had to be killed or failed");
  assert.equal(box.length, 1);
  assert.match(box[0].text, /^hello /);
  assert.equal([...Deno.readDirSync(directory.path)].length, 1);
});

Deno.test("a killed process is noticed, and its successor is found beside its stale record", async () => {
  await using directory = await temporaryDirectory();
  await using a = await start(1, { addressBookDirectory: directory.path });
  a.setAllowList([createSigner(seedOf(2)).publicKey]);
  const box = inbox(a);
  for (const round of [1, 2]) {
    const child = spawnPeer(2, directory.path, "");
    try {
      await until("a message from the child", () => box.length >= 1);
      box.length = 0;
    } finally {
      child.kill("SIGKILL");
      await child.status;
    }
    await untilConnected(0, a);
    assert.equal([...Deno.readDirSync(directory.path)].length, 2, `round ${round}: stale record`);
  }
});
