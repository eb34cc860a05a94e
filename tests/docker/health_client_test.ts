/** The health check of clients; it needs no engine. */
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";

const HEALTH = fileURLToPath(new URL("../../docker/health_client.sh", import.meta.url));

async function health(program: string) {
  const { code, stdout } = await new Deno.Command("sh", { args: [HEALTH, program] }).output();
  return { code, said: new TextDecoder().decode(stdout).trim() };
}

/** A process of this name that waits; it has said when it does. */
async function start(name: string, code: string): Promise<AsyncDisposable> {
  const child = new Deno.Command(Deno.execPath(), {
    args: ["eval", `${code}; console.log("ready"); setInterval(() => {}, 1000)`, name],
    stdout: "piped",
    stderr: "null",
  }).spawn();
  const reader = child.stdout.getReader();
  assert.match(new TextDecoder().decode((await reader.read()).value), /ready/);
  return {
    async [Symbol.asyncDispose]() {
      child.kill("SIGKILL");
      await Promise.all([child.status, reader.cancel()]);
    },
  };
}

Deno.test({
  name: "a client is healthy when it listens itself, whoever else listens in its network",
  ignore: Deno.build.os !== "linux",
  async fn() {
    const name = `client-${crypto.randomUUID()}`;
    using _other = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    assert.deepEqual(await health(name), { code: 1, said: "no training process" });
    await using _starting = await start(name, "");
    assert.deepEqual(await health(name), {
      code: 1,
      said: "the training process accepts no peers (yet)",
    });
    await using _ready = await start(name, "Deno.listen({ hostname: '127.0.0.1', port: 0 })");
    assert.deepEqual(await health(name), { code: 0, said: "" });
  },
});
