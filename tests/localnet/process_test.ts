/** The localnet as a process: its ports, its end, its words. */
import assert from "node:assert/strict";
import { spawnLocalnet } from "../../lib/localnet/spawn.ts";
import { rawCall, within } from "./localnet_client.ts";

const SCRIPT = new URL("../../scripts/localnet.ts", import.meta.url).pathname;

async function run(...args: string[]) {
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--quiet", SCRIPT, ...args],
  }).output();
  const decoder = new TextDecoder();
  return { code, stdout: decoder.decode(stdout), stderr: decoder.decode(stderr) };
}

Deno.test("a taken port is named in one sentence with its process", async () => {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  try {
    const { port } = listener.addr as Deno.NetAddr;
    const { code, stdout, stderr } = await run("--rpc-port", String(port), "--json");
    assert.equal(code, 1);
    assert.equal(stdout, "");
    assert.match(stderr, new RegExp(`^Port ${port} is taken.*--rpc-port.*\n$`));
    const owner = Deno.build.os === "linux" ? new RegExp(`by process ${Deno.pid} \\(`) : /taken;/;
    assert.match(stderr, owner);
    await assert.rejects(
      spawnLocalnet({ rpcPort: port }),
      (error: Error & { code?: string }) =>
        error.code === "PORT_TAKEN" && owner.test(error.message),
    );
  } finally {
    listener.close();
  }
});

Deno.test("wrong flags end with code 2 and one sentence", async () => {
  for (
    const args of [
      ["--rpc-port", "99999"],
      ["--no-such-flag"],
      ["operand"],
      ["--clock-rate", "0"],
      ["--slot-ms", "none"],
      ["--serve", "nothing"],
      ["--bpf-program", "only-an-id"],
      ["--reserve-program", "a", "b"],
      ["--bpf-program", "not*an*address", SCRIPT],
    ]
  ) {
    const { code, stderr } = await run("--rpc-port", "0", ...args);
    assert.equal(code, 2, `${args}: ${stderr}`);
    assert.equal(stderr.trim().split("\n").length, 1, stderr);
  }
});

Deno.test("help has examples", async () => {
  const { code, stdout } = await run("--help");
  assert.equal(code, 0);
  assert.match(stdout, /Examples:[\s\S]*--clock-rate 20/);
});

const notWindows = { ignore: Deno.build.os === "windows" };

Deno.test("SIGTERM ends it with code 0 and closes its sockets", notWindows, async () => {
  const localnet = await spawnLocalnet();
  const socket = new WebSocket(localnet.wsUrl);
  await new Promise((resolve) => socket.onopen = resolve);
  const closed = new Promise((resolve) => socket.onclose = resolve);
  // Ctrl+C is the parent's business: the chain stays until that is done with it.
  Deno.kill(localnet.pid, "SIGINT");
  assert.equal((await rawCall(localnet.rpcUrl, "getHealth")).result, "ok");
  Deno.kill(localnet.pid, "SIGTERM");
  assert.deepEqual(await within(5000, "SIGTERM", localnet.ended), { code: 0, signal: null });
  await closed;
  await localnet.stop();
});

Deno.test("Ctrl+C ends the command with code 0", notWindows, async () => {
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--quiet", SCRIPT, "--rpc-port", "0", "--json"],
    stdin: "null",
    stdout: "piped",
    stderr: "null",
  }).spawn();
  const reader = child.stdout.getReader();
  const { value } = await within(20_000, "ready line", reader.read());
  const ready = JSON.parse(new TextDecoder().decode(value));
  assert.equal(ready.pid, child.pid);
  assert.match(ready.genesisHash, /^\w{32,44}$/);
  child.kill("SIGINT");
  assert.equal((await within(5000, "SIGINT", child.status)).code, 0);
  await reader.cancel();
});

Deno.test("stop and abort end the child", async () => {
  const stopped = await spawnLocalnet();
  assert.equal((await rawCall(stopped.rpcUrl, "getHealth")).result, "ok");
  await stopped.stop();
  await stopped.stop();
  await assert.rejects(fetch(stopped.rpcUrl));

  const controller = new AbortController();
  const aborted = await spawnLocalnet({}, { signal: controller.signal });
  controller.abort();
  assert.equal((await within(5000, "abort", aborted.ended)).code, 0);
  await aborted.stop();
  await assert.rejects(spawnLocalnet({}, { signal: controller.signal }), { name: "AbortError" });
});

Deno.test(
  "a parent that dies takes the localnet with it",
  { ignore: Deno.build.os === "windows" },
  async () => {
    const module = new URL("../../lib/localnet/spawn.ts", import.meta.url).href;
    const parent = new Deno.Command(Deno.execPath(), {
      args: [
        "eval",
        `import { spawnLocalnet } from ${JSON.stringify(module)};
       const { rpcUrl, pid } = await spawnLocalnet();
       console.log(JSON.stringify({ rpcUrl, pid }));
       await new Promise(() => setInterval(() => {}, 1000));`,
      ],
      cwd: new URL("../..", import.meta.url).pathname,
      stdout: "piped",
      stderr: "inherit",
    }).spawn();
    const reader = parent.stdout.getReader();
    const { value } = await within(20_000, "ready line", reader.read());
    const { rpcUrl } = JSON.parse(new TextDecoder().decode(value));
    assert.equal((await rawCall(rpcUrl, "getHealth")).result, "ok");
    parent.kill("SIGKILL");
    await parent.status;
    await reader.cancel();
    await within(
      5000,
      "end of the orphan",
      (async () => {
        while (await rawCall(rpcUrl, "getHealth").then(() => true, () => false)) {
          await new Promise((next) => setTimeout(next, 50));
        }
      })(),
    );
  },
);

Deno.test("a child that cannot start says why", async () => {
  await assert.rejects(
    spawnLocalnet({ clockRate: -1 }),
    (error: Error & { code?: string }) =>
      error.code === "LOCALNET_START_FAILED" && /clock rate -1/.test(error.message),
  );
});
